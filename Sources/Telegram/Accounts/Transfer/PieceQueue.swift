import Synchronization

/// The pieces of a transfer that are still to be brought over, each handed out once.
final class PieceQueue: Sendable {
    private struct State {
        var next = 0
        var end: Int
        var bytes: Int64
    }

    private let done: Set<Int>
    private let state: Mutex<State>
    private let onProgress: TransferProgress

    /// - Parameters:
    ///   - count: of all pieces; `Int.max` when it will only turn out.
    ///   - doneBytes: of the pieces that are done.
    init(count: Int, done: Set<Int>, doneBytes: Int64, onProgress: @escaping TransferProgress) {
        self.done = done
        self.onProgress = onProgress
        state = Mutex(State(end: count, bytes: doneBytes))
    }

    /// nil when there is no more.
    func next() -> Int? {
        state.withLock { state in
            while done.contains(state.next) { state.next += 1 }
            guard state.next < state.end else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    /// There are so many pieces and no more.
    func end(at count: Int) { state.withLock { $0.end = min($0.end, count) } }

    /// Counts what was brought over.
    func finished(bytes: Int) {
        let all = state.withLock { state in
            state.bytes += Int64(bytes)
            return state.bytes
        }
        onProgress(all)
    }
}
