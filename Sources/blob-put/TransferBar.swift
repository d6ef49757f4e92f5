import Glibc
import Stage
import Synchronization

/// One line on the terminal that shows how far an upload is; nothing where standard error is no terminal.
final class TransferBar: Sendable {
    private let title: String
    private let totalBytes: Int64
    private let begun = ContinuousClock.now
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let lastDrawn = Mutex<ContinuousClock.Instant?>(nil)

    init(title: String, totalBytes: Int64) {
        self.title = title.printable
        self.totalBytes = totalBytes
    }

    /// Draws the bar anew, ten times a second at most.
    @Sendable func show(_ sentBytes: Int64) {
        guard isTerminal, totalBytes > 0 else { return }
        let now = ContinuousClock.now
        let isDue = lastDrawn.withLock { last in
            guard last.map({ now - $0 >= .milliseconds(100) }) ?? true else { return false }
            last = now
            return true
        }
        if isDue { draw("\r" + line(sentBytes, after: now - begun) + "\u{1B}[K") }
    }

    func clear() {
        if lastDrawn.withLock({ $0 != nil }) { draw("\r\u{1B}[K") }
    }

    private func line(_ sentBytes: Int64, after elapsed: Duration) -> String {
        let filled = Int(min(sentBytes, totalBytes) * 20 / totalBytes)
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: 20 - filled)
        let rate = Double(sentBytes) / 1e6 / max(elapsed / .seconds(1), 0.001)
        return "\(title.prefix(30))  [\(bar)] \(sentBytes * 100 / totalBytes)%  \(Int(rate)) MB/s"
    }

    private func draw(_ text: String) {
        _ = write(STDERR_FILENO, text, text.utf8.count)
    }
}
