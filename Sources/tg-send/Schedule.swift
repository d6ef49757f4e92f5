import Stage
import Synchronization
import System

/// Which job is next: lanes in order, replies before progress, none before its time, and only the newest progress of a request.
///
/// Waiting never holds a worker: a job that Telegram told to wait goes back here until its time has come.
final class Schedule: Sendable {
    /// So many lanes may remember nothing but when they may show progress again.
    private static let idleLanes = 2000

    fileprivate struct Lane {
        var jobs: [Job] = []
        var progress: Job?
        var isRunning = false
        var notBefore: ContinuousClock.Instant
        /// When the shown progress may change again.
        var progressNotBefore: ContinuousClock.Instant

        mutating func dropProgress() -> [Job] {
            let dropped = jobs.filter(\.isProgress) + (progress.map { [$0] } ?? [])
            progress = nil
            jobs.removeAll(where: \.isProgress)
            return dropped
        }

        /// Nothing to do, and nothing to remember.
        func isIdle(_ now: ContinuousClock.Instant) -> Bool {
            !isRunning && jobs.isEmpty && progress == nil && progressNotBefore <= now
        }
    }

    fileprivate struct State {
        var lanes: [String: Lane] = [:]
        /// Of all jobs, those under way included.
        var count = 0
        var isClosed = false
        var isAborted = false
        /// Since when each lane has something to do, for fairness.
        var order: [String] = []
    }

    private let state = Mutex(State())
    private let changed = Signal()
    private let progressInterval: Duration

    init(progressInterval: Duration) { self.progressInterval = progressInterval }

    func add(_ job: Job) {
        let now = ContinuousClock.now
        let dropped = state.withLock { state in
            var lane = state.lanes[job.lane] ?? Lane(notBefore: now, progressNotBefore: now)
            var dropped: [Job] = []
            if job.maySkip {
                if let older = lane.progress { dropped = [older] }
                lane.progress = job
            } else {
                // A request that comes to its end has no use for progress, nor for a first reply that has not been made.
                dropped = lane.dropProgress()
                lane.jobs.append(job)
            }
            state.count += 1 - dropped.count
            if !state.order.contains(job.lane) { state.order.append(job.lane) }
            state.lanes[job.lane] = lane
            if state.lanes.count > Schedule.idleLanes { state.lanes = state.lanes.filter { !$0.value.isIdle(now) } }
            return dropped
        }
        Schedule.drop(dropped)
        changed.notify()
    }

    /// What was not worth doing any more is done.
    private static func drop(_ jobs: [Job]) {
        for job in jobs { job.completion.finish(.success(.done([]))) }
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
        return (nil, due, state.isClosed && state.count == 0)
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
        Schedule.drop(state.withLock { $0.finish(job, outcome, .now) })
        changed.notify()
    }
}

extension Schedule.State {
    /// - Returns: what is not worth doing any more.
    fileprivate mutating func finish(
        _ job: Job, _ outcome: Schedule.Outcome, _ now: ContinuousClock.Instant
    ) -> [Job] {
        guard var lane = lanes[job.lane] else { return [] }
        var dropped: [Job] = []
        lane.isRunning = false
        switch outcome {
        case .done:
            count -= 1
            if lane.jobs.isEmpty && lane.progress == nil {
                // It is kept as long as it must remember when the next edit may come.
                lanes[job.lane] = lane.progressNotBefore > now ? lane : nil
                order.removeAll { $0 == job.lane }
                return []
            }
        case .again(let rest, let wait): dropped = lane.putBack(rest, notBefore: now + wait)
        }
        count -= dropped.count
        // To the back: no lane starves the others.
        order.removeAll { $0 == job.lane }
        order.append(job.lane)
        lanes[job.lane] = lane
        return dropped
    }
}

extension Schedule.Lane {
    fileprivate mutating func putBack(_ rest: Job, notBefore time: ContinuousClock.Instant) -> [Job] {
        // The end came meanwhile, and has nothing to do with why progress had to wait.
        if rest.isProgress, !jobs.isEmpty { return [rest] }
        // A reply does not wait for progress that has to.
        if rest.maySkip { progressNotBefore = time } else { notBefore = time }
        guard rest.maySkip else {
            jobs.insert(rest, at: 0)
            return []
        }
        // Something newer came meanwhile.
        if progress != nil { return [rest] }
        progress = rest
        return []
    }
}
