import Glibc

/// Runs blocking work on a thread of its own, away from the cooperative pool; false when the system gives none.
///
/// Signals stay with the other threads.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    let box = Unmanaged.passRetained(ThreadBody(run: body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 512 << 10)
    var thread = pthread_t()
    let status = pthread_create(
        &thread, &attributes,
        { argument in
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            if let argument { Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, box.toOpaque())
    if status != 0 { box.release() }
    return status == 0
}

/// The answer of blocking work that runs on a thread of its own.
func onOwnThread<Answer: Sendable>(
    _ work: @escaping @Sendable () throws(RedisError) -> Answer
) async throws(RedisError) -> Answer {
    let result: Result<Answer, RedisError> = await withCheckedContinuation { continuation in
        let started = startThread { continuation.resume(returning: Result(catching: work)) }
        if !started { continuation.resume(returning: .failure(RedisError(.server, "unable to start a thread"))) }
    }
    return try result.get()
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(run: @escaping @Sendable () -> Void) { self.run = run }
}
