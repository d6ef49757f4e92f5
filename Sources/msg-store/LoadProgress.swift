import JSON
import Stage
import System

/// Shows on a terminal how much is stored, how fast, and what came of it.
struct LoadProgress {
    private let bar = ProgressBar()
    private let start = ContinuousClock.now

    /// - Parameter stored: the number of messages that were stored so far, unchanged ones included.
    func show(_ stored: Int, _ writer: WriterThread) {
        let rate = Double(stored) / max((ContinuousClock.now - start).seconds, 0.001)
        var words = ["\(stored) stored", "\(Int(rate))/s", "\(max(0, stored - writer.changed)) unchanged"]
        if writer.failures > 0 { words.append("\(writer.failures) refused") }
        bar.show(ProgressBar.Figures(title: "msg-store", state: words.joined(separator: "  ")))
    }
}
