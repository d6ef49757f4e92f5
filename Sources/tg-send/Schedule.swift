import Envelope
import Stage
import Synchronization

/// Which job is next: lanes in order, replies before progress, none before its time, and only the newest progress of a request.
///
/// Waiting never holds a worker: a job that Telegram told to wait goes back here until its time has come.
final class Schedule: Sendable {
    /// Weight of jobs held at most, before the input has to wait; see `Job.weight`.
    static let capacity = 1000

    private struct Lane {
        var jobs: [Job] = []
        var progress: Job?
        var isRunning = false
        var notBefore: ContinuousClock.Instant
        /// When the shown progress may change again.
        var progressNotBefore: ContinuousClock.Instant

        /// - Returns: the weight of what was dropped.
        mutating func dropProgress() -> Int {
            let dropped = jobs.filter(\.isProgress) + (progress.map { [$0] } ?? [])
            progress = nil
            jobs.removeAll(where: \.isProgress)
            return dropped.reduce(0) { $0 + $1.weight }
        }

        /// Nothing to do, and nothing to remember.
        func isIdle(_ now: ContinuousClock.Instant) -> Bool {
            !isRunning && jobs.isEmpty && progress == nil && progressNotBefore <= now
        }
    }

    private struct State {
        var lanes: [String: Lane] = [:]
        /// Of all jobs, those under way included.
        var weight = 0
        var isClosed = false
        var isAborted = false
        /// Since when each lane has something to do, for fairness.
        var order: [String] = []
    }

    private let state = Mutex(State())
    private let changed = Signal()
    private let progressInterval: Duration

    init(progressInterval: Duration) { self.progressInterval = progressInterval }

    /// Adds a job; waits while too many are held, unless nobody will work on them any more.
    func add(_ job: Job) async {
        while !Task.isCancelled {
            let generation = changed.generation
            guard state.withLock({ $0.weight >= Schedule.capacity && !$0.isAborted }) else { break }
            await changed.wait(since: generation, atMost: .seconds(1))
        }
        let now = ContinuousClock.now
        state.withLock { state in
            var lane = state.lanes[job.lane] ?? Lane(notBefore: now, progressNotBefore: now)
            if job.maySkip {
                state.weight += job.weight - (lane.progress?.weight ?? 0)
                lane.progress = job
            } else {
                // A request that comes to its end has no use for progress, nor for a first reply that has not been made.
                state.weight += job.weight - lane.dropProgress()
                lane.jobs.append(job)
            }
            if !state.order.contains(job.lane) { state.order.append(job.lane) }
            state.lanes[job.lane] = lane
            if state.lanes.count > 2 * Schedule.capacity { state.lanes = state.lanes.filter { !$0.value.isIdle(now) } }
        }
        changed.notify()
    }

    /// No more jobs will be added.
    func close() {
        state.withLock { $0.isClosed = true }
        changed.notify()
    }

    /// Gives up what is left: a failure ends the tool.
    func abort() {
        state.withLock { $0.isAborted = true }
        changed.notify()
    }

    /// The next job whose time has come; its lane waits for `finish`. nil when all is done.
    func next() async -> Job? {
        while !Task.isCancelled {
            let generation = changed.generation
            let found: (job: Job?, due: ContinuousClock.Instant?, isDone: Bool) = state.withLock {
                take(&$0, ContinuousClock.now)
            }
            if let job = found.job { return job }
            if found.isDone { return nil }
            let wait = found.due.map { $0 - ContinuousClock.now } ?? .seconds(3600)
            await changed.wait(since: generation, atMost: max(wait, .milliseconds(1)))
        }
        return nil
    }

    private func take(_ state: inout State, _ now: ContinuousClock.Instant) -> (Job?, ContinuousClock.Instant?, Bool) {
        if state.isAborted { return (nil, nil, true) }
        var due: ContinuousClock.Instant?
        var progressLane: String?
        for name in state.order {
            guard let lane = state.lanes[name], !lane.isRunning else { continue }
            let isReply = !lane.jobs.isEmpty
            let start = isReply ? lane.notBefore : max(lane.notBefore, lane.progressNotBefore)
            if start > now {
                due = min(due ?? start, start)
            } else if isReply {
                return (takeJob(&state, name), nil, false)
            } else if progressLane == nil, lane.progress != nil {
                progressLane = name
            }
        }
        if let progressLane { return (takeProgress(&state, progressLane, now), nil, false) }
        return (nil, due, state.isClosed && state.weight == 0)
    }

    private func takeJob(_ state: inout State, _ name: String) -> Job? {
        state.lanes[name]?.isRunning = true
        return state.lanes[name]?.jobs.removeFirst()
    }

    private func takeProgress(_ state: inout State, _ name: String, _ now: ContinuousClock.Instant) -> Job? {
        defer { state.lanes[name]?.progress = nil }
        state.lanes[name]?.isRunning = true
        state.lanes[name]?.progressNotBefore = now + progressInterval
        return state.lanes[name]?.progress
    }

    /// What became of a job that `next` gave.
    enum Outcome: Sendable {
        case done
        /// The rest of it, to be tried again after a wait.
        case again(Job, after: Duration)
    }

    func finish(_ job: Job, _ outcome: Outcome) {
        let now = ContinuousClock.now
        state.withLock { state in
            guard var lane = state.lanes[job.lane] else { return }
            lane.isRunning = false
            switch outcome {
            case .done:
                state.weight -= job.weight
                if lane.jobs.isEmpty && lane.progress == nil {
                    // It is kept as long as it must remember when the next edit may come.
                    state.lanes[job.lane] = lane.progressNotBefore > now ? lane : nil
                    state.order.removeAll { $0 == job.lane }
                    return
                }
            case .again(let rest, let wait):
                if rest.isProgress, !lane.jobs.isEmpty {
                    // The end came meanwhile, and has nothing to do with why progress had to wait.
                    state.weight -= rest.weight
                    break
                }
                if !rest.maySkip {
                    lane.jobs.insert(rest, at: 0)
                } else if lane.progress == nil {
                    lane.progress = rest
                } else {
                    // Something newer came meanwhile.
                    state.weight -= rest.weight
                }
                // A reply does not wait for progress that has to.
                if rest.maySkip { lane.progressNotBefore = now + wait } else { lane.notBefore = now + wait }
            }
            // To the back: no lane starves the others.
            state.order.removeAll { $0 == job.lane }
            state.order.append(job.lane)
            state.lanes[job.lane] = lane
        }
        changed.notify()
    }
}
