import Synchronization

/// Hands out each unfinished piece of a transfer once, and reports the progress.
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
    ///   - count: The number of all pieces; `Int.max` if it is unknown.
    ///   - doneBytes: The bytes in the finished pieces.
    init(count: Int, done: Set<Int>, doneBytes: Int64, onProgress: @escaping TransferProgress) {
        self.done = done
        self.onProgress = onProgress
        state = Mutex(State(end: count, bytes: doneBytes))
    }

    /// Returns the next piece; nil if none is left.
    func next() -> Int? {
        state.withLock { state in
            while done.contains(state.next) { state.next += 1 }
            guard state.next < state.end else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    /// Sets the number of pieces, once it is known.
    func end(at count: Int) { state.withLock { $0.end = min($0.end, count) } }

    /// Adds a finished piece to the progress.
    func finished(bytes: Int) {
        let all = state.withLock { state in
            state.bytes += Int64(bytes)
            return state.bytes
        }
        onProgress(all)
    }
}
