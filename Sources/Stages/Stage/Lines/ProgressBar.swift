import Glibc
import JSON
import System
import Tracing

/// Shows the progress of some work in one line of a terminal, below the log; does nothing without a terminal.
package final class ProgressBar: Sendable {
    /// Holds the known facts about the work.
    package struct Figures: Sendable {
        package var title: String?
        /// A word for the current step of the work.
        package var state: String
        /// The part that is done, from 0 to 1.
        package var fraction: Double?
        package var doneBytes: Int64?
        package var totalBytes: Int64?
        package var bytesPerSecond: Double?

        package init(
            title: String?, state: String, fraction: Double? = nil, doneBytes: Int64? = nil, totalBytes: Int64? = nil,
            bytesPerSecond: Double? = nil
        ) {
            self.title = title
            self.state = state
            self.fraction = fraction
            self.doneBytes = doneBytes
            self.totalBytes = totalBytes
            self.bytesPerSecond = bytesPerSecond
        }
    }

    private let area = StatusArea.standardError
    private let key: Int

    package init() { key = area.makeKey() }

    /// Draws the bar, at most ten times a second.
    package func show(_ progress: Figures) {
        guard area.isTerminal else { return }
        let columns = Linux.terminalColumns(STDERR_FILENO) ?? 80
        area.show(ProgressBar.line(progress, columns: columns), key: key, isUrgent: progress.fraction == 1)
    }

    /// Removes the bar.
    package func clear() { area.clear(key: key) }

    /// Returns the bar as text without colours: `Title  [######----]  60%  12.0 MB of 20.0 MB  4.0 MB/s  0:02`.
    static func line(_ progress: Figures, columns: Int) -> String {
        var parts: [String] = []
        if let fraction = progress.fraction {
            let filled = Int((min(1, max(0, fraction)) * 20).rounded())
            let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: 20 - filled)
            parts.append("[\(bar)] \(Int((fraction * 100).rounded(.down)))%")
        }
        if let done = progress.doneBytes {
            parts.append(ByteCount.text(done) + (progress.totalBytes.map { " of \(ByteCount.text($0))" } ?? ""))
        }
        if let rate = progress.bytesPerSecond, rate > 0 {
            parts.append("\(ByteCount.text(Int64(rate)))/s")
            if let done = progress.doneBytes, let total = progress.totalBytes {
                parts.append(clock(seconds: Double(total - done) / rate))
            }
        }
        let figures = ([progress.state] + parts).joined(separator: "  ")
        let room = columns - figures.count - 3
        guard room >= 8, let title = progress.title?.printable, !title.isEmpty else {
            return String(figures.prefix(columns - 1))
        }
        return (title.count > room ? title.prefix(room - 1) + "…" : title[...]) + "  " + figures
    }

    private static func clock(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 360_000 else { return "" }
        let whole = Int(seconds)
        let tail = whole % 60 < 10 ? "0\(whole % 60)" : "\(whole % 60)"
        guard whole >= 3600 else { return "\(whole / 60):\(tail)" }
        let minutes = whole / 60 % 60
        return "\(whole / 3600):\(minutes < 10 ? "0" : "")\(minutes):\(tail)"
    }
}
