import Envelope
import Payloads

/// Says that a job cannot go on before a time. Every wait in tg-send has this form.
///
/// It is an error so that it ends an upload that has already been claimed: another event may then take the upload over.
struct NotBefore: Error, Equatable {
    enum Place: Sendable {
        /// The job stays in the scheduler. Its lane waits with it.
        case scheduler
        /// The event goes back to the stage, which hands it out again when it is woken, and at the latest at `time`. Later events
        /// of its chat go on.
        case stage
        /// The event goes back to its queue until `time`. Later events of its chat wait behind it.
        case queue
    }

    let time: ContinuousClock.Instant
    let place: Place

    init(_ time: ContinuousClock.Instant, in place: Place = .scheduler) { (self.time, self.place) = (time, place) }
}

/// Names the calls for which Telegram keeps separate flood waits: it may hold back edits for hours and accept messages
/// meanwhile.
enum CallKind: Sendable, Hashable {
    case message, edit
    /// Deletions and reactions, which count against no rate.
    case other
}

/// Decides which job is sent next, and not before which time.
///
/// The scheduler is a pure state machine: callers pass the current time and do all input and output. The stage decides
/// only how many events are read and when they are acknowledged; all order and all waiting is decided here, by these
/// rules:
///
/// 1. **Order.** The commands to one chat form a lane, and the events of one request (one correlation id) form a lane.
///    The jobs of a lane run one at a time, in the order in which they were added. A job that waits keeps its lane
///    waiting, and no other lane.
/// 2. **Priority.** A reply that is due goes before all progress that is due. Among equals, the lane goes first that
///    was served least recently.
/// 3. **Progress.** A lane keeps only the newest progress, and shows progress at most once per `progressInterval`.
///    Replies do not wait for progress. Any other event of the lane drops the progress that waits, also a first reply
///    that has not been created. Progress behind the end of its request is dropped: nothing would remove its reply. A
///    dropped job is done, without results.
/// 4. **Rates.** Each message and each edit counts against `MessageRates`. Progress leaves room for replies. Deletions
///    and reactions do not count, and reactions do not wait behind messages.
/// 5. **Flood waits.** After a flood wait, nothing of the same kind goes to that chat until it has passed; of several
///    flood waits, the longest counts. Two chats whose waits end together show a wait that is for all chats: then no
///    job is handed out until its end. Progress is then dropped instead of kept. The flood waits of an account's
///    methods are in its flood ledger (module Accounts) and arrive here as failures of calls. Waits of over 60 seconds
///    go back to the queue, if there is one.
/// 6. **Uploads.** A job that needs an object which another event is uploading goes back to the stage
///    (`NotBefore.Place.stage`). The end of the upload wakes it.
/// 7. **Retries.** After a transient failure, an event from a pipe is retried here, with a growing backoff. An event
///    from a queue is retried by the queue, and resumes from its record in Redis. When an event goes back to its queue, all
///    events of its chat that have not begun go back with it: the queue gives them out in order, to one process.
/// 8. **Shutdown.** After `stop`, no job is handed out. Jobs that run may finish within the time that the stage allows.
/// 9. **Memory.** The stage holds at most 1000 events of a pipe, or 256 of a queue. Idle lanes, flood waits, chats and
///    requests are forgotten beyond the limits below.
struct Scheduler: Sendable {
    typealias Time = ContinuousClock.Instant

    /// The number of lanes from which lanes are forgotten that have nothing to do and may show progress again.
    private static let maxIdleLanes = 2000
    /// The number of flood waits from which those are forgotten that have passed.
    private static let maxFloodWaits = 1000

    private struct Lane {
        var replies: [Job] = []
        var progress: Job?
        var isRunning = false
        var replyNotBefore: Time
        var progressNotBefore: Time

        /// The time at which the lane's next job is due; nil without a job, or while one runs.
        var due: Time? {
            if isRunning || (replies.isEmpty && progress == nil) { return nil }
            return replies.isEmpty ? max(replyNotBefore, progressNotBefore) : replyNotBefore
        }

        func isForgettable(_ now: Time) -> Bool {
            !isRunning && replies.isEmpty && progress == nil && progressNotBefore <= now
        }

        mutating func dropProgress() -> [Job] {
            let dropped = replies.filter(\.isProgress) + (progress.map { [$0] } ?? [])
            progress = nil
            replies.removeAll(where: \.isProgress)
            return dropped
        }
    }

    private struct FloodWait: Hashable {
        let chat: ChatID
        let kind: CallKind
    }

    private let progressInterval: Duration
    private let limitsRates: Bool
    private var lanes: [String: Lane] = [:]
    /// The names of the lanes with jobs, the least recently served first.
    private var order: [String] = []
    private var begunRequests = RecentRequests()
    private var endedRequests = RecentRequests()
    private var rates: MessageRates
    private var floodWaits: [FloodWait: Time] = [:]
    /// The time until which no job is handed out.
    private var heldUntil: Time?
    /// The number of counted messages of each lane whose calls have not ended.
    private var counted: [String: Int] = [:]
    private var isStopped = false
    /// The returns by the lane.
    private var returns: [String: Return] = [:]
    /// The jobs whose events are to go back to their queue.
    private var returning: [Job] = []

    /// Represents the return of a lane's events to their queue.
    private struct Return {
        /// The number of events that are not back yet.
        var count: Int
        /// The time at which the last one was back. An event for which the queue was asked later came in its turn.
        var endedAt: Time
    }

    /// The number of returns from which those are forgotten that ended so long ago that each event which was asked for before has come.
    private static let maxReturns = 1000
    private static let longestAnswer = Duration.seconds(600)

    /// The most by which the ends of one wait differ for two chats: Telegram counts whole seconds.
    private static let sameEnd = Duration.seconds(2)

    /// - Parameters:
    ///   - progressInterval: the least time between two edits of one placeholder reply.
    ///   - limitsRates: false leaves only the waits that Telegram requires.
    init(progressInterval: Duration, limitsRates: Bool, now: Time) {
        (self.progressInterval, self.limitsRates) = (progressInterval, limitsRates)
        rates = MessageRates()
    }

    /// Adds a job behind the jobs of its lane.
    ///
    /// - Returns: the jobs that need not be sent any more; the given one may be among them.
    mutating func add(_ job: Job, now: Time) -> [Job] {
        if isReturning(job, now) { return [] }
        var job = job
        if job.isProgress {
            if endedRequests.contains(job) { return [job] }
            job.isFirstProgress = begunRequests.insert(job, kind: job.kind)
        } else if job.endsRequest {
            endedRequests.insert(job, kind: job.endKind)
        }
        var lane = lanes[job.lane] ?? Lane(replyNotBefore: now, progressNotBefore: now)
        var dropped: [Job] = []
        if job.isReplaceable {
            if let older = lane.progress { dropped = [older] }
            lane.progress = job
        } else {
            dropped = lane.dropProgress()
            lane.replies.append(job)
        }
        if !order.contains(job.lane) { order.append(job.lane) }
        lanes[job.lane] = lane
        if lanes.count > Scheduler.maxIdleLanes { lanes = lanes.filter { !$0.value.isForgettable(now) } }
        return dropped
    }

    enum Next: Sendable {
        /// The job to carry out now. Its lane waits for `finish` or `postpone`.
        case job(Job)
        /// There is no job before this time, unless another call changes that; nil: no job waits for a time.
        case nothing(until: Time?)
        case stopped
    }

    mutating func next(now: Time) -> Next {
        if isStopped { return .stopped }
        if let heldUntil, heldUntil > now { return .nothing(until: heldUntil) }
        var firstDue: Time?
        var progressLane: String?
        for name in order {
            guard let lane = lanes[name], let due = lane.due else { continue }
            if due > now {
                firstDue = min(firstDue ?? due, due)
            } else if !lane.replies.isEmpty {
                return start(name, now)
            } else if progressLane == nil {
                progressLane = name
            }
        }
        return progressLane.map { start($0, now) } ?? .nothing(until: firstDue)
    }

    private mutating func start(_ name: String, _ now: Time) -> Next {
        guard var lane = lanes[name] else { return .nothing(until: nil) }
        defer { lanes[name] = lane }
        lane.isRunning = true
        if !lane.replies.isEmpty { return .job(lane.replies.removeFirst()) }
        guard let progress = lane.progress else { return .nothing(until: nil) }
        lane.progress = nil
        lane.progressNotBefore = now + progressInterval
        return .job(progress)
    }

    /// Ends a job that `next` has returned.
    mutating func finish(_ job: Job, now: Time) {
        endCounted(job, now)
        guard var lane = lanes[job.lane] else { return }
        lane.isRunning = false
        order.removeAll { $0 == job.lane }
        if !lane.replies.isEmpty || lane.progress != nil { order.append(job.lane) }
        lanes[job.lane] = lane.isForgettable(now) ? nil : lane
    }

    /// Ends a job that `next` has returned and whose event goes back to its queue. The jobs of its lane that have not begun
    /// go back, too; so do those that come until all are back. `takeReturning` returns them. Jobs without an order stay.
    mutating func finishReturning(_ job: Job, now: Time) {
        defer { finish(job, now: now) }
        guard job.isOrdered else { return }
        if returns.count > Scheduler.maxReturns {
            returns = returns.filter { $0.value.count > 0 || $0.value.endedAt + Scheduler.longestAnswer > now }
        }
        returns[job.lane, default: Return(count: 0, endedAt: now)].count += 1
        guard var lane = lanes[job.lane] else { return }
        let waiting = lane.replies + (lane.progress.map { [$0] } ?? [])
        (lane.replies, lane.progress) = ([], nil)
        lanes[job.lane] = lane
        for job in waiting { putBack(job) }
    }

    /// The number of lanes with a return.
    var returnCount: Int { returns.count }

    /// Notes that an event of a job which went back is in its queue again.
    mutating func noteReturned(to lane: String, now: Time) {
        guard let known = returns[lane] else { return }
        returns[lane] = Return(count: known.count - 1, endedAt: now)
    }

    /// Returns the jobs whose events are to go back to their queue, each once.
    mutating func takeReturning() -> [Job] {
        defer { returning = [] }
        return returning
    }

    private mutating func putBack(_ job: Job) {
        returns[job.lane]?.count += 1
        returning.append(job)
    }

    /// Returns whether a new job has to go back, because earlier ones of its lane do.
    private mutating func isReturning(_ job: Job, _ now: Time) -> Bool {
        guard job.isOrdered, let askedAt = job.askedAt, let known = returns[job.lane] else { return false }
        if known.count > 0 || askedAt < known.endedAt {
            putBack(job)
            return true
        }
        returns[job.lane] = nil
        return false
    }

    /// Takes back a job that `next` has returned, or the remaining steps of it, until a time.
    ///
    /// - Returns: the job, if it need not be sent any more.
    mutating func postpone(_ job: Job, until time: Time, now: Time) -> [Job] {
        endCounted(job, now)
        guard var lane = lanes[job.lane] else { return [job] }
        let isUnnecessary =
            // The request's end has arrived meanwhile, which does not wait for progress.
            job.isProgress && !lane.replies.isEmpty
            // Newer progress has arrived.
            || job.isReplaceable && lane.progress != nil
        if isUnnecessary {
            if lane.replies.isEmpty { lane.progressNotBefore = time }
        } else if job.isReplaceable {
            lane.progressNotBefore = time
            lane.progress = job
        } else {
            lane.replyNotBefore = time
            lane.replies.insert(job, at: 0)
        }
        lane.isRunning = false
        lanes[job.lane] = lane
        order.removeAll { $0 == job.lane }
        order.append(job.lane)
        return isUnnecessary ? [job] : []
    }

    /// Counts a call that a job is about to make, if flood waits and rates allow it now.
    ///
    /// - Returns: nil when the call may be made; else the time at which to ask again.
    mutating func admit(_ kind: CallKind, for job: Job, now: Time) -> NotBefore? {
        if let heldUntil, heldUntil > now { return NotBefore(heldUntil) }
        if let end = floodWait(chat: job.chat, kind, now: now) { return NotBefore(end) }
        guard limitsRates else { return nil }
        if let time = rates.take(chat: job.chat, isReplaceable: job.isReplaceable, now: now) { return NotBefore(time) }
        if lanes[job.lane]?.isRunning == true { counted[job.lane, default: 0] += 1 } else { rates.end(1, now: now) }
        return nil
    }

    /// Takes back the count of a call that another process's messages do not allow now.
    mutating func takeBack(_ job: Job, now: Time) {
        guard limitsRates else { return }
        rates.giveBack(chat: job.chat)
    }

    private mutating func endCounted(_ job: Job, _ now: Time) {
        if let count = counted.removeValue(forKey: job.lane) { rates.end(count, now: now) }
    }

    /// Hands out no job until a time: Telegram accepts no call at all.
    mutating func hold(until end: Time) { heldUntil = max(heldUntil ?? end, end) }

    /// Notes a flood wait: until then, no call of this kind is made for the chat.
    ///
    /// - Returns: the time until which all calls have to wait, if the wait shows to be one for all chats.
    @discardableResult
    mutating func setFloodWait(chat: ChatID, _ kind: CallKind, until end: Time, now: Time) -> Time? {
        let isShared = floodWaits.contains { wait, other in
            wait.chat != chat && wait.kind == kind && other > now
                && (other - Scheduler.sameEnd...other + Scheduler.sameEnd).contains(end)
        }
        if floodWaits.count > Scheduler.maxFloodWaits { floodWaits = floodWaits.filter { $0.value > now } }
        let wait = FloodWait(chat: chat, kind: kind)
        floodWaits[wait] = max(floodWaits[wait] ?? end, end)
        guard isShared else { return nil }
        hold(until: end)
        return end
    }

    /// Returns the end of a flood wait; nil when there is none.
    func floodWait(chat: ChatID, _ kind: CallKind, now: Time) -> Time? {
        floodWaits[FloodWait(chat: chat, kind: kind)].flatMap { $0 > now ? $0 : nil }
    }

    /// Hands out no more jobs.
    mutating func stop() { isStopped = true }
}

/// Remembers the newest 5000 to 10,000 requests.
private struct RecentRequests {
    private struct Request: Hashable {
        let correlationID: EventID
        /// One correlation id may cover a video and its sound.
        let kind: String

        init(_ job: Job, kind: String) { (correlationID, self.kind) = (job.event.correlationID, kind) }
    }

    private static let maxRequests = 10_000

    private var requests: Set<Request> = []
    private var order: [Request] = []

    func contains(_ job: Job) -> Bool { requests.contains(Request(job, kind: job.endKind)) }

    /// - Returns: whether it was new.
    @discardableResult
    mutating func insert(_ job: Job, kind: String) -> Bool {
        let request = Request(job, kind: kind)
        guard requests.insert(request).inserted else { return false }
        order.append(request)
        if order.count > RecentRequests.maxRequests {
            let half = RecentRequests.maxRequests / 2
            for old in order.prefix(half) { requests.remove(old) }
            order.removeFirst(half)
        }
        return true
    }
}
