import Envelope
import JSON
import LogStore
import System

/// Shows a request to people, a line for each span and each line of the log.
struct TraceText {
    private static let barWidth = 24
    /// Shorter waits are not worth a line.
    private static let shortestWait: Int64 = 1000

    let trace: RequestTrace
    let view: LineView

    var text: String {
        let tools = Set(trace.spans.map(\.tool) + trace.lines.map(\.tool)).count
        var rows = [
            "request \(trace.correlationID)",
            "\(LineView.clock(trace.start))  \(SpanTime.text(microseconds: trace.end - trace.start))  "
                + "\(tools) \(tools == 1 ? "tool" : "tools"), \(trace.size)",
        ]
        if let error = trace.firstError {
            rows.append("first error after \(offset(error.time)): \(error.text.printable)")
        }
        for sharing in trace.waitsFor {
            rows.append("waited for \(names(sharing)) (\(sharing.work.printable))")
        }
        for sharing in trace.waitedFor {
            rows.append("\(names(sharing)) waited for this one (\(sharing.work.printable))")
        }
        if let gaps = trace.gaps { rows.append(gaps) }
        rows.append("")
        for item in trace.items { add(item, to: &rows) }
        return rows.joined(separator: "\n") + "\n"
    }

    private func names(_ sharing: RequestTrace.Sharing) -> String {
        let shown = sharing.requests.prefix(3).map(\.printable).joined(separator: ", ")
        let more = sharing.requests.count - 3
        return more > 0 ? "\(shown) and \(more) more" : shown
    }

    private func add(_ item: RequestTrace.Item, to rows: inout [String]) {
        let indent = String(repeating: "  ", count: item.depth)
        switch item.content {
        case .span(let span, let wait):
            if wait >= TraceText.shortestWait {
                let place = span.queue.map { " in the queue \($0)" } ?? ""
                rows.append(
                    row(span.start - wait, bar(span.start - wait, span.start, "."), indent)
                        + "waited \(SpanTime.text(microseconds: wait))\(place.printable)")
            }
            var text =
                "\(view.colored(span.tool.printable)) \(span.name.printable) \(SpanTime.text(nanoseconds: span.nanoseconds))"
            if span.attempt > 1 { text += ", attempt \(span.attempt)" }
            if span.outcome != "done" { text += ", \(span.outcome.printable)" }
            if let error = span.error { text += ": \(error.printable)" }
            rows.append(row(span.start, bar(span.start, span.end, span.isFailure ? "!" : "="), indent) + text)
        case .line(let line):
            let level = line.level == "info" ? "" : "\(line.level.printable): "
            rows.append(
                row(line.time, bar(line.time, line.time, "'"), indent)
                    + "\(view.colored(line.tool.printable)) \(level)\(line.message.printable)\(notes(line))")
        }
    }

    private func notes(_ line: TraceLine) -> String {
        let notes = LineView.furtherValues(of: line.object).map { "\($0.key.printable)=\($0.value.printable)" }
        return notes.isEmpty ? "" : " (\(notes.joined(separator: " ")))"
    }

    private func row(_ time: Int64, _ bar: String, _ indent: String) -> String {
        let text = offset(time)
        return String(repeating: " ", count: max(0, 9 - text.count)) + "\(text) |\(bar)| \(indent)"
    }

    private func offset(_ time: Int64) -> String { SpanTime.text(microseconds: time - trace.start) }

    /// Returns the place of a time in the request as characters.
    private func bar(_ start: Int64, _ end: Int64, _ mark: Character) -> String {
        let total = max(1, trace.end - trace.start)
        func place(_ time: Int64) -> Int {
            let share = Double(time - trace.start) / Double(total)
            return min(max(0, Int(share * Double(TraceText.barWidth))), TraceText.barWidth - 1)
        }
        let (first, last) = (place(start), max(place(start), place(end)))
        return (0..<TraceText.barWidth).map { (first...last).contains($0) ? "\(mark)" : " " }.joined()
    }
}
