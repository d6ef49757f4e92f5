import Glibc

/// A thread of its own for calls that block, so that they never hold a thread of the concurrency pool.
///
/// Work runs one piece at a time, in the order it was given. The thread ends with the object, after the work it was given.
public final class BlockingThread: Sendable {
    private let queue: WorkQueue

    public init() {
        queue = WorkQueue()
        BlockingThread.start(queue.runUntilClosed)
    }

    deinit { queue.close() }

    /// Runs `body` on the thread and waits for it. Not cancelled with the task: `body` must end by itself.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.add { continuation.resume(with: Result(catching: body)) }
        }
    }

    public func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.add { continuation.resume(returning: body()) }
        }
    }

    /// Starts a detached thread that runs `body` once.
    public static func start(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(ThreadBody(body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // Little is called here; eight megabytes a thread would only alarm those who read `VSZ`.
        pthread_attr_setstacksize(&attributes, 512 << 10)
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

/// A mutex and a condition: `Synchronization.Mutex` has no way to wait.
private final class WorkQueue: @unchecked Sendable {
    private var mutex = pthread_mutex_t()
    private var changed = pthread_cond_t()
    private var work: [@Sendable () -> Void] = []
    private var isClosed = false

    init() {
        pthread_mutex_init(&mutex, nil)
        pthread_cond_init(&changed, nil)
    }

    deinit {
        pthread_cond_destroy(&changed)
        pthread_mutex_destroy(&mutex)
    }

    func add(_ piece: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(&mutex)
        work.append(piece)
        pthread_cond_signal(&changed)
        pthread_mutex_unlock(&mutex)
    }

    func close() {
        pthread_mutex_lock(&mutex)
        isClosed = true
        pthread_cond_signal(&changed)
        pthread_mutex_unlock(&mutex)
    }

    @Sendable func runUntilClosed() {
        while let pieces = next() {
            for piece in pieces { piece() }
        }
    }

    private func next() -> [@Sendable () -> Void]? {
        pthread_mutex_lock(&mutex)
        defer { pthread_mutex_unlock(&mutex) }
        while work.isEmpty && !isClosed { pthread_cond_wait(&changed, &mutex) }
        guard !work.isEmpty else { return nil }
        defer { work = [] }
        return work
    }
}
