/// Runs jobs that are added over time, all in one task group.
final class BackgroundTasks: Sendable {
    typealias Job = @Sendable () async -> Void

    private let jobs: AsyncStream<Job>
    private let adding: AsyncStream<Job>.Continuation

    init() { (jobs, adding) = AsyncStream.makeStream(of: Job.self) }

    /// Adds a job. It starts at once if `run` is running, otherwise when `run` begins.
    func add(_ job: @escaping Job) { adding.yield(job) }

    /// Accepts no more jobs; those that were added still run to their end.
    func finish() { adding.finish() }

    /// Runs the jobs. Returns after `finish` when the last one has ended. Cancellation cancels the jobs.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask { await job() } }
        }
    }
}
