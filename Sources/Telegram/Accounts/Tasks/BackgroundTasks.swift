/// Work that begins while other work goes on, all of it in one task group.
final class BackgroundTasks: Sendable {
    typealias Job = @Sendable () async -> Void

    private let jobs: AsyncStream<Job>
    private let adding: AsyncStream<Job>.Continuation

    init() { (jobs, adding) = AsyncStream.makeStream(of: Job.self) }

    /// Begins as soon as somebody is in `run`.
    func add(_ job: @escaping Job) { adding.yield(job) }

    /// What was begun goes on to its end; nothing more begins.
    func finish() { adding.finish() }

    /// Until all of it has ended after `finish`, or the task is cancelled, and with it all that goes on.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask { await job() } }
        }
    }
}
