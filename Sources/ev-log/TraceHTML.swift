import Envelope
import JSON
import LogStore
import System

/// Writes a request as a page of HTML that needs nothing else: a picture of the spans over time, and the lines of the log.
struct TraceHTML {
    let trace: RequestTrace

    private static let chartWidth = 640.0
    private static let labelWidth = 420.0
    private static let rowHeight = 20.0
    private static let dotRadius = 2.5

    private static let pageStyle = """
        body{font:14px/1.45 system-ui,sans-serif;margin:1.5rem;color:#1b1f24;background:#fff}
        h1{font-size:1.2rem}
        table{border-collapse:collapse;width:100%}td,th{padding:2px 8px;text-align:left;vertical-align:top;border-top:1px solid #e3e6ea}
        @media(prefers-color-scheme:dark){body{background:#15181c;color:#dde2e8}td,th{border-color:#333a42}}
        """

    /// The style of `body`, for any page.
    static let style = """
        code,.mono{font-family:ui-monospace,monospace;font-size:12px}
        .lines td{overflow-wrap:anywhere}
        .lines td:nth-child(-n+3){white-space:nowrap;max-width:16rem;overflow:hidden;text-overflow:ellipsis}
        .error{color:#b3261e}.warning{color:#8a5a00}.quiet{color:#667}
        svg.spans text{font:12px ui-monospace,monospace;fill:#1b1f24}.grid{stroke:#e3e6ea}
        .span{fill:#3b76d6}.failed{fill:#c5362c}.held{fill:#9aa4b2}.wait{fill:#f3d9a4}.dot{fill:#555}
        @media(prefers-color-scheme:dark){svg.spans text{fill:#dde2e8}
        .grid{stroke:#333a42}.wait{fill:#6b5526}.dot{fill:#aaa}.quiet{color:#99a}
        .error{color:#ff8a80}.warning{color:#ffc66d}}
        """

    var page: String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>request \(HTML.escaped(trace.correlationID.description))</title>
        <style>\(TraceHTML.pageStyle)\(TraceHTML.style)</style></head><body>
        \(body)
        </body></html>

        """
    }

    /// The part between the tags of the body.
    var body: String {
        var text = "<h1>Request <code>\(HTML.escaped(trace.correlationID.description))</code></h1>\n"
        text +=
            "<p>\(Timestamp(microseconds: trace.start)), \(time(trace.end - trace.start)), \(trace.size)</p>\n"
        if let error = trace.firstError {
            text +=
                "<p class=\"error\">First error after \(time(error.time - trace.start)): \(HTML.escaped(error.text))</p>\n"
        }
        for sharing in trace.waitsFor { text += "<p>Waited for \(TraceHTML.requests(sharing))</p>\n" }
        for sharing in trace.waitedFor { text += "<p>\(TraceHTML.requests(sharing)) waited for this request</p>\n" }
        if let gaps = trace.gaps { text += "<p class=\"quiet\">\(HTML.escaped(gaps))</p>\n" }
        return text + picture + table
    }

    private static func requests(_ sharing: RequestTrace.Sharing) -> String {
        let names = sharing.requests.prefix(20).map { "<code>\(HTML.escaped($0))</code>" }.joined(separator: ", ")
        return "\(names) <span class=\"quiet\">(\(HTML.escaped(sharing.work)))</span>"
    }

    private func time(_ microseconds: Int64) -> String {
        HTML.escaped(SpanTime.text(microseconds: microseconds))
    }

    // MARK: The picture

    private var picture: String {
        let spans = trace.items.compactMap { item -> (TraceSpan, Int64, Int)? in
            guard case .span(let span, let wait) = item.content else { return nil }
            return (span, wait, item.depth)
        }
        guard !spans.isEmpty else { return "" }
        let height = Double(spans.count) * TraceHTML.rowHeight + 24
        let width = TraceHTML.labelWidth + TraceHTML.chartWidth + 90
        var text =
            "<svg class=\"spans\" role=\"img\" aria-label=\"The spans of the request over time\" width=\"\(Int(width))\" "
        text += "height=\"\(Int(height))\" viewBox=\"0 0 \(Int(width)) \(Int(height))\">\n"
        for part in 0...4 {
            let x = TraceHTML.labelWidth + TraceHTML.chartWidth * Double(part) / 4
            text += "<line class=\"grid\" x1=\"\(x)\" x2=\"\(x)\" y1=\"16\" y2=\"\(height)\"/>"
            text +=
                "<text x=\"\(x)\" y=\"11\" text-anchor=\"middle\">\(time((trace.end - trace.start) * Int64(part) / 4))</text>\n"
        }
        let lines = Dictionary(grouping: trace.lines) { $0.object["span_id"]?.string ?? "" }
        for (row, (span, wait, depth)) in spans.enumerated() {
            text += bar(span, wait, depth, lines[span.id] ?? [], y: 20 + Double(row) * TraceHTML.rowHeight)
        }
        return text + "</svg>\n"
    }

    private func x(_ time: Int64) -> Double {
        let share = Double(time - trace.start) / Double(max(1, trace.end - trace.start))
        return TraceHTML.labelWidth + (min(max(0, share), 1) * TraceHTML.chartWidth * 100).rounded() / 100
    }

    private func bar(_ span: TraceSpan, _ wait: Int64, _ depth: Int, _ lines: [TraceLine], y: Double) -> String {
        let label = "\(span.tool) \(span.name)".printable(atMost: 58 - min(depth, 16) * 2)
        let indent = Double(min(depth, 16) * 12)
        var text = "<g><title>\(HTML.escaped(tooltip(span, wait)))</title>"
        text += "<text x=\"\(indent)\" y=\"\(y + 13)\">\(HTML.escaped(label))</text>"
        if wait > 0 {
            let from = x(span.start - wait)
            text +=
                "<rect class=\"wait\" x=\"\(from)\" y=\"\(y + 6)\" width=\"\(max(0, x(span.start) - from))\" height=\"6\"/>"
        }
        let kind = span.isFailure ? "failed" : span.outcome == HandlingWords.held ? "held" : "span"
        let length = max(1.5, x(span.end) - x(span.start))
        text += "<rect class=\"\(kind)\" x=\"\(x(span.start))\" y=\"\(y + 3)\" width=\"\(length)\" height=\"12\"/>"
        // Lines may come after the span's end.
        let end = lines.reduce(x(span.start) + length) { max($0, x($1.time) + TraceHTML.dotRadius) }
        text += "<text x=\"\(end + 4)\" y=\"\(y + 13)\">\(time(span.nanoseconds / 1000))</text>"
        for line in lines {
            text += "<circle class=\"dot\" cx=\"\(x(line.time))\" cy=\"\(y + 9)\" r=\"\(TraceHTML.dotRadius)\">"
            text += "<title>\(HTML.escaped(line.message))</title></circle>"
        }
        return text + "</g>\n"
    }

    private func tooltip(_ span: TraceSpan, _ wait: Int64) -> String {
        var parts = ["\(span.tool): \(span.name)", SpanTime.text(nanoseconds: span.nanoseconds), span.outcome]
        if wait > 0 { parts.append("waited \(SpanTime.text(microseconds: wait))") }
        if span.attempt > 1 { parts.append("attempt \(span.attempt)") }
        if let error = span.error { parts.append(error) }
        return parts.joined(separator: ", ")
    }

    // MARK: The table

    private var table: String {
        guard !trace.lines.isEmpty else { return "" }
        var text = "<table class=\"lines\"><tr><th>after</th><th>tool</th><th>level</th><th>message</th></tr>\n"
        for line in trace.lines {
            let kind = line.isError ? "error" : line.level == "warning" ? "warning" : ""
            text +=
                "<tr><td class=\"mono\">\(time(line.time - trace.start))</td><td>\(HTML.escaped(line.tool))</td>"
            text += "<td>\(HTML.escaped(line.level))</td><td class=\"\(kind)\">\(HTML.escaped(line.message))"
            for (key, value) in LineView.furtherValues(of: line.object) {
                text += " <span class=\"quiet mono\">\(HTML.escaped(key))=\(HTML.escaped(value))</span>"
            }
            text += "</td></tr>\n"
        }
        return text + "</table>\n"
    }
}
