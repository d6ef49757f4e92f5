// An optimised build finds the attributes of threads in this module.
import CLinux
import Glibc

/// Runs blocking calls on a thread of its own, so that they never hold a thread of the concurrency pool.
///
/// Work runs one piece at a time, in the order of the calls. The thread ends with the object, after the remaining work.
package final class BlockingThread: Sendable {
    private let queue: WorkQueue

    package init() {
        queue = WorkQueue()
        BlockingThread.start(queue.runUntilClosed)
    }

    deinit { queue.close() }

    /// Runs `body` on the thread and waits for it. A cancellation of the task does not end `body`.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.add { continuation.resume(with: Result(catching: body)) }
        }
    }

    package func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.add { continuation.resume(returning: body()) }
        }
    }

    /// Queues `body` for the thread, without waiting.
    package func enqueue(_ body: @escaping @Sendable () -> Void) {
        queue.add(body)
    }

    /// Runs `body` on a thread that lasts for this call only. A cancellation of the task does not end `body`.
    package static func once<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            start { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }

    /// Runs `body`, which may throw any error, as `once` does.
    package static func oncePassingErrors<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
            start { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }

    /// Starts a detached thread that runs `body` once.
    ///
    /// - Parameter stackBytes: the size of the stack, which takes memory only as far as it is used.
    package static func start(stackBytes: Int = 512 << 10, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(ThreadBody(body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // Little is called here; eight megabytes a thread would only alarm those who read `VSZ`.
        pthread_attr_setstacksize(&attributes, stackBytes)
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
                body.run()
                return nil
            }, box.toOpaque())
        guard failure == 0 else { fatalError("unable to start a thread: \(String(cString: strerror(failure)))") }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private final class WorkQueue: Sendable {
    private struct State {
        var work: [@Sendable () -> Void] = []
        var isClosed = false
    }

    private let state = Monitor(State())

    func add(_ piece: @escaping @Sendable () -> Void) { state.update { $0.work.append(piece) } }

    func close() { state.update { $0.isClosed = true } }

    @Sendable func runUntilClosed() {
        while let pieces = next() {
            for piece in pieces { piece() }
        }
    }

    private func next() -> [@Sendable () -> Void]? {
        let pieces = state.wait { state -> [@Sendable () -> Void]? in
            guard !state.work.isEmpty || state.isClosed else { return nil }
            defer { state.work = [] }
            return state.work
        }
        return pieces.flatMap { $0.isEmpty ? nil : $0 }
    }
}
