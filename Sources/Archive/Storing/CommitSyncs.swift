import Synchronization
package import System

/// Waits on a thread of its own until commits are on the disk: once for all that were made while it waited before.
package final class CommitSyncs: Sendable {
    private let thread = BlockingThread()
    private let sync: @Sendable () throws -> Void
    private let waiting = Mutex<[Promise<Void>]>([])
    /// The first failure. Another attempt may succeed although what was to be written is lost.
    private let failure = Mutex<(any Error)?>(nil)

    /// - Parameter sync: waits until all commits before it are on the disk.
    package init(_ sync: @escaping @Sendable () throws -> Void) { self.sync = sync }

    /// Takes a promise about a commit that has been made.
    package func add(_ promise: Promise<Void>) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(promise)
            return waiting.count == 1
        }
        if isFirst { thread.enqueue { self.serve() } }
    }

    private func serve() {
        let promises = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        let known = failure.withLock { $0 }
        let result: Result<Void, any Error> = known.map { .failure($0) } ?? Result { try sync() }
        if case .failure(let error) = result { failure.withLock { $0 = error } }
        for promise in promises { promise.fulfil(result) }
    }
}
