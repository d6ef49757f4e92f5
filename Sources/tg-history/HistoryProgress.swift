import Accounts
import History
import JSON
import Stage
import Synchronization
import System

/// Shows on a terminal how far each chat is, in a line of its own, and which accounts wait.
final class HistoryProgress: Sendable {
    /// The reading of one command.
    final class Reading: Sendable {
        private let owner: HistoryProgress
        private let number: Int
        private let state = Mutex((chatID: Int64?.none, messages: Int64(0)))

        fileprivate init(_ owner: HistoryProgress, number: Int) { (self.owner, self.number) = (owner, number) }

        /// The number of messages so far.
        var messages: Int64 { state.withLock { $0.messages } }

        func take(_ progress: ReadingProgress) {
            state.withLock { state in
                state.chatID = progress.chatID
                state.messages += progress.added
            }
            owner.show(progress, number)
        }

        func end() {
            if let chatID = state.withLock({ $0.chatID }) { owner.end(number, chatID) }
        }
    }

    fileprivate struct Chat {
        let bar = ProgressBar()
        let start = ContinuousClock.now
        var messages: Int64 = 0
        /// The ids that commands ask for, and those that they have not read yet, by the number of the command.
        var ids: [Int: (wanted: Int64, left: Int64)?] = [:]
        var ended: Int64 = 0
        var running: Set<Int> = []
    }

    private struct State {
        var chats: [Int64: Chat] = [:]
        var waits: [String: (bar: ProgressBar, until: ContinuousClock.Instant)] = [:]
        var lastNumber = 0
    }

    private let state = Mutex(State())

    func begin() -> Reading {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return Reading(self, number: number)
    }

    /// Shows until when an account waits.
    func show(_ wait: FloodWait, of session: String) {
        let until = Timestamp.now + wait.remaining
        // The clock's time, to the second.
        let clock = until.description.dropFirst(11).prefix(8)
        state.withLock { state in
            let bar = state.waits[session]?.bar ?? ProgressBar()
            state.waits[session] = (bar, .now + wait.remaining)
            bar.show(
                ProgressBar.Figures(
                    title: session, state: "waits until \(clock) UTC (\(wait.remaining.spanText)), \(wait.method)"))
        }
    }

    private func show(_ progress: ReadingProgress, _ number: Int) {
        state.withLock { state in
            let now = ContinuousClock.now
            for (session, wait) in state.waits where wait.until <= now {
                wait.bar.clear()
                state.waits[session] = nil
            }
            var chat = state.chats[progress.chatID] ?? Chat()
            chat.running.insert(number)
            chat.messages += progress.added
            chat.ids[number] = .some(progress.idsWanted.flatMap { wanted in progress.idsLeft.map { (wanted, $0) } })
            state.chats[progress.chatID] = chat
            chat.bar.show(chat.figures(title: progress.title, total: progress.total))
        }
    }

    private func end(_ number: Int, _ chatID: Int64) {
        state.withLock { state in
            state.chats[chatID]?.running.remove(number)
            if let ids = state.chats[chatID]?.ids.removeValue(forKey: number) ?? nil {
                state.chats[chatID]?.ended += ids.wanted
            }
            guard let chat = state.chats[chatID], chat.running.isEmpty else { return }
            chat.bar.clear()
            state.chats[chatID] = nil
        }
    }
}

extension HistoryProgress.Chat {
    /// The progress as a bar shows it.
    fileprivate func figures(title: String, total: Int64?) -> ProgressBar.Figures {
        let rate = Double(messages) / max((ContinuousClock.now - start).seconds, 0.001)
        let state = "\(messages) messages" + (total.map { " of \($0)" } ?? "") + "  \(Int(rate))/s"
        return ProgressBar.Figures(title: title, state: state, fraction: fraction)
    }

    /// The share of the wanted ids that are read; nil while it is unknown.
    private var fraction: Double? {
        var (wanted, left) = (ended, Int64(0))
        for ids in ids.values {
            guard let ids else { return nil }
            wanted += ids.wanted
            left += ids.left
        }
        return wanted > 0 ? 1 - Double(left) / Double(wanted) : nil
    }
}
