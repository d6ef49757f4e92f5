import Envelope
import JSON
import Payloads
import Stage
import System
import Testing

@testable import tg_send

/// Drives a scheduler with a clock of its own, and writes down what it does.
final class SchedulerRun {
    private(set) var now = ContinuousClock.now
    private(set) var scheduler: Scheduler
    /// The names of the jobs that need not be sent any more.
    private(set) var dropped: [String] = []

    init(progressInterval: Duration = .seconds(3), limitsRates: Bool = false) {
        scheduler = Scheduler(progressInterval: progressInterval, limitsRates: limitsRates, now: now)
    }

    func pass(_ time: Duration) { now += time }

    func add(_ jobs: Job...) { for job in jobs { note(scheduler.add(job, now: now)) } }

    /// Returns the name of the next job; nil when there is none now.
    func start() -> Job? {
        if case .job(let job) = scheduler.next(now: now) { job } else { nil }
    }

    /// Returns the time until the next job is due; nil when no job waits for a time.
    func timeUntilNext() -> Duration? {
        if case .nothing(let time) = scheduler.next(now: now) { time.map { $0 - now } } else { nil }
    }

    func finish(_ job: Job) { scheduler.finish(job, now: now) }

    func postpone(_ job: Job, _ wait: Duration) {
        note(scheduler.postpone(job, until: now + wait, now: now))
    }

    /// Ends a job whose event goes back to its queue, and returns the names of the jobs that go back with it.
    func finishReturning(_ job: Job) -> [String] {
        scheduler.finishReturning(job, now: now)
        return takeReturning()
    }

    func takeReturning() -> [String] { scheduler.takeReturning().map(\.name) }

    func noteReturned(_ lane: String, times: Int = 1) {
        for _ in 0..<times { scheduler.noteReturned(to: lane, now: now) }
    }

    func stop() { scheduler.stop() }

    var isStopped: Bool { if case .stopped = scheduler.next(now: now) { true } else { false } }

    private func note(_ jobs: [Job]) { dropped += jobs.map(\.name) }

    /// Carries out everything that is due, and returns the names of the jobs.
    func runAll() -> [String] {
        var names: [String] = []
        while let job = start() {
            names.append(job.name)
            finish(job)
        }
        return names
    }

    func admit(_ job: Job, _ kind: CallKind = .message) -> Duration? {
        scheduler.admit(kind, for: job, now: now).map { $0.time - now }
    }

    func setFloodWait(chat: ChatID, _ kind: CallKind, _ wait: Duration) {
        scheduler.setFloodWait(chat: chat, kind, until: now + wait, now: now)
    }

    func floodWait(chat: ChatID, _ kind: CallKind) -> Duration? {
        scheduler.floodWait(chat: chat, kind, now: now).map { $0 - now }
    }
}

extension Job {
    var name: String {
        event.payload["text"]?.string ?? event.payload["state"]?.string ?? "end"
    }
}

@Suite struct SchedulerTests {
    private let request = EventID()

    private func progress(_ state: String, of request: EventID? = nil, kind: String = "video") throws -> Job {
        try Job(
            Envelope(
                type: "events.media.progress", payload: ["kind": .string(kind), "state": .string(state)],
                meta: ["origin": ["chat_id": 1, "message_id": 2]], correlationID: request ?? self.request))
    }

    private func end(kind: String = "video") throws -> Job {
        try Job(
            Envelope(
                type: "events.dl.\(kind).failed", payload: ["kind": .string(kind)],
                meta: ["origin": ["chat_id": 1, "message_id": 2]], correlationID: request))
    }

    private func command(_ chat: JSON, _ text: String = "text") throws -> Job {
        try Job(Envelope(type: "commands.telegram.send", payload: ["chat_id": chat, "text": .string(text)]))
    }

    // MARK: Order

    @Test func `The commands to one chat stay in order`() throws {
        let run = SchedulerRun()
        run.add(try command(1, "a"), try command(1, "b"), try command(1, "c"))
        #expect(run.runAll() == ["a", "b", "c"])
    }

    @Test func `Only one job of a lane runs at a time`() throws {
        let run = SchedulerRun()
        run.add(try command(1, "a"), try command(1, "b"))
        let first = try #require(run.start())
        #expect(run.start() == nil)
        run.finish(first)
        #expect(run.start()?.name == "b")
    }

    @Test func `A chat is one lane whether its id is a number or text`() throws {
        #expect(try command(42).lane == command("42").lane)
    }

    @Test func `A job that waits keeps its lane waiting and no other`() throws {
        let run = SchedulerRun()
        run.add(try command(1, "slow"), try command(1, "behind"))
        run.postpone(try #require(run.start()), .seconds(5))
        run.add(try command(2, "quick"))
        #expect(run.runAll() == ["quick"])
        #expect(run.timeUntilNext() == .seconds(5))
        run.pass(.seconds(5))
        #expect(run.runAll() == ["slow", "behind"])
    }

    @Test func `Lanes take turns`() throws {
        let run = SchedulerRun()
        run.add(try command(1, "1a"), try command(1, "1b"), try command(2, "2a"), try command(2, "2b"))
        #expect(run.runAll() == ["1a", "2a", "1b", "2b"])
    }

    // MARK: Priority and progress

    @Test func `Replies go before progress`() throws {
        let run = SchedulerRun()
        run.add(try progress("accepted"))
        #expect(run.runAll() == ["accepted"])
        run.pass(.seconds(3))
        run.add(try progress("downloading"), try command(1, "reply"))
        #expect(run.runAll() == ["reply", "downloading"])
    }

    @Test func `Only the newest progress is shown, at the interval`() throws {
        let run = SchedulerRun(progressInterval: .seconds(3))
        run.add(try progress("accepted"))
        #expect(run.runAll() == ["accepted"])
        run.add(try progress("downloading"))
        #expect(run.runAll() == ["downloading"])
        run.add(try progress("converting"), try progress("storing"))
        #expect(run.dropped == ["converting"])
        #expect(run.timeUntilNext() == .seconds(3))
        run.pass(.seconds(3))
        #expect(run.runAll() == ["storing"])
    }

    @Test func `The interval holds also when nothing waited meanwhile`() throws {
        let run = SchedulerRun(progressInterval: .seconds(3))
        run.add(try progress("accepted"))
        #expect(run.runAll() == ["accepted"])
        run.add(try progress("downloading"))
        #expect(run.runAll() == ["downloading"])
        run.pass(.seconds(1))
        run.add(try progress("converting"))
        #expect(run.timeUntilNext() == .seconds(2))
    }

    @Test func `The first progress of a request is not replaced by newer progress`() throws {
        let run = SchedulerRun()
        run.add(try progress("accepted"), try progress("downloading"))
        let first = try #require(run.start())
        #expect(first.isFirstProgress)
        run.finish(first)
        #expect(try #require(run.start()).isFirstProgress == false)
    }

    @Test func `The end of a request drops its progress, and the first progress too`() throws {
        let run = SchedulerRun()
        run.add(try progress("accepted"), try progress("downloading"), try end())
        #expect(run.dropped == ["accepted", "downloading"])
        #expect(run.runAll() == ["end"])
    }

    @Test func `Progress behind the end of its request is dropped, but not that of the sound`() throws {
        let run = SchedulerRun()
        run.add(try end(), try progress("storing"), try progress("accepted", kind: "audio"))
        #expect(run.dropped == ["storing"])
        #expect(run.runAll() == ["end", "accepted"])
    }

    @Test func `A first progress that waits is not shown after the end`() throws {
        let run = SchedulerRun()
        run.add(try progress("accepted"))
        let first = try #require(run.start())
        run.add(try end())
        run.postpone(first, .seconds(1))
        #expect(run.dropped == ["accepted"])
        #expect(run.runAll() == ["end"])
    }

    @Test func `The end of a request does not wait for progress that does`() throws {
        let run = SchedulerRun()
        run.add(try progress("accepted"))
        #expect(run.runAll() == ["accepted"])
        run.add(try progress("downloading"))
        run.postpone(try #require(run.start()), .seconds(3600))
        run.add(try end())
        #expect(run.runAll() == ["end"])
    }

    @Test func `Progress that was postponed gives way to newer progress`() throws {
        let run = SchedulerRun(progressInterval: .zero)
        run.add(try progress("accepted"))
        #expect(run.runAll() == ["accepted"])
        run.add(try progress("downloading"))
        let older = try #require(run.start())
        run.add(try progress("storing"))
        run.postpone(older, .seconds(4))
        #expect(run.dropped == ["downloading"])
        #expect(run.timeUntilNext() == .seconds(4))
    }

    // MARK: Rates

    @Test func `A chat gets a short burst and then a message a second`() throws {
        let run = SchedulerRun(limitsRates: true)
        let job = try command(1)
        for _ in 0..<4 { #expect(run.admit(job) == nil) }
        #expect(run.admit(job) == .seconds(1))
        run.pass(.seconds(1))
        #expect(run.admit(job) == nil)
        #expect(run.admit(job) == .seconds(1))
    }

    @Test func `A group gets twenty messages a minute`() throws {
        let run = SchedulerRun(limitsRates: true)
        let job = try command(-100)
        var sent = 0
        for _ in 0..<600 {
            if run.admit(job) == nil { sent += 1 }
            run.pass(.seconds(1))
        }
        #expect((200...205).contains(sent))
    }

    @Test func `All chats together get thirty messages a second`() throws {
        let run = SchedulerRun(limitsRates: true)
        let sent = try (1...100).filter { run.admit(try command(.integer($0))) == nil }
        #expect(sent.count == 30)
    }

    @Test func `No second has more than thirty messages however long they take`() throws {
        let run = SchedulerRun(limitsRates: true)
        var jobs: [Job] = []
        for chat in Int64(1)...200 { run.add(try command(.integer(chat))) }
        var calls: [(begun: Duration, ended: Duration)] = []
        var time = Duration.zero
        while calls.count < 120 {
            while jobs.count < 8, let job = run.start() {
                if let wait = run.admit(job) {
                    run.postpone(job, wait)
                    break
                }
                jobs.append(job)
                calls.append((time, time))
            }
            run.pass(.milliseconds(5))
            time += .milliseconds(5)
            if !jobs.isEmpty {
                calls[calls.count - jobs.count].ended = time
                run.finish(jobs.removeFirst())
            }
        }
        // A message reaches Telegram between the beginning and the end of its call.
        for call in calls {
            let second = call.begun..<call.begun + .seconds(1)
            #expect(calls.count { second.contains($0.begun) } <= 30)
            #expect(calls.count { $0.ended > call.begun - .seconds(1) && $0.begun <= call.begun } <= 30)
        }
    }

    @Test func `Two chats whose waits end together hold all chats`() throws {
        let run = SchedulerRun()
        run.add(try command(3, "third"))
        run.setFloodWait(chat: .id(1), .message, .seconds(20))
        #expect(run.start()?.name == "third")
        run.add(try command(4, "fourth"))
        run.setFloodWait(chat: .id(2), .message, .milliseconds(20_400))
        #expect(run.start() == nil)
        #expect(run.timeUntilNext() == .milliseconds(20_400))
        run.pass(.milliseconds(20_400))
        #expect(run.start()?.name == "fourth")
    }

    @Test func `Waits of different lengths are for their chats alone`() throws {
        let run = SchedulerRun()
        run.setFloodWait(chat: .id(1), .edit, .seconds(54_000))
        run.setFloodWait(chat: .id(2), .edit, .seconds(3))
        run.setFloodWait(chat: .id(2), .message, .seconds(3))
        run.add(try command(3, "third"))
        #expect(run.start()?.name == "third")
    }

    @Test func `A reaction does not wait behind the messages of its chat`() throws {
        let run = SchedulerRun(limitsRates: true)
        for number in 1...30 { run.add(try command(-5, .init("\(number)"))) }
        while let job = run.start() {
            if let wait = run.admit(job) { run.postpone(job, wait) } else { run.finish(job) }
        }
        run.add(try Job(Envelope(TelegramCommand(.react(emoji: "👍", messageID: 1), chat: .id(-5)))))
        #expect(run.start()?.action == .react)
    }

    @Test func `Progress leaves room for replies`() throws {
        let run = SchedulerRun(limitsRates: true)
        let (progress, reply) = (try progress("downloading"), try command(1))
        while run.admit(progress, .edit) == nil {}
        #expect(run.admit(reply) == nil && run.admit(reply) == nil)
    }

    @Test func `Quiet chats are forgotten without harm`() throws {
        let run = SchedulerRun(limitsRates: true)
        for chat in Int64(1)...5000 {
            #expect(run.admit(try command(.integer(chat))) == nil)
            run.pass(.seconds(1))
        }
    }

    @Test func `Without a limit of the rates only flood waits count`() throws {
        let run = SchedulerRun(limitsRates: false)
        let job = try command(1)
        for _ in 0..<100 { #expect(run.admit(job) == nil) }
        run.setFloodWait(chat: .id(1), .message, .seconds(7))
        #expect(run.admit(job) == .seconds(7))
    }

    // MARK: Flood waits

    @Test func `A flood wait is for one chat and one kind of call, and the longest counts`() {
        let run = SchedulerRun()
        run.setFloodWait(chat: .id(1), .edit, .seconds(54_000))
        run.setFloodWait(chat: .id(1), .edit, .seconds(1))
        #expect(run.floodWait(chat: .id(1), .message) == nil)
        #expect(run.floodWait(chat: .id(2), .edit) == nil)
        run.pass(.seconds(4000))
        #expect(run.floodWait(chat: .id(1), .edit) == .seconds(50_000))
        run.pass(.seconds(50_000))
        #expect(run.floodWait(chat: .id(1), .edit) == nil)
    }

    @Test func `A flood wait takes no tokens from the rates`() throws {
        let run = SchedulerRun(limitsRates: true)
        let job = try command(1)
        run.setFloodWait(chat: .id(1), .message, .seconds(2))
        for _ in 0..<10 { #expect(run.admit(job) == .seconds(2)) }
        run.pass(.seconds(2))
        for _ in 0..<4 { #expect(run.admit(job) == nil) }
    }

    // MARK: Shutdown and memory

    @Test func `After the stop no job is handed out`() throws {
        let run = SchedulerRun()
        run.add(try command(1, "a"), try command(1, "b"))
        let first = try #require(run.start())
        run.stop()
        run.finish(first)
        #expect(run.isStopped)
    }

    @Test func `Idle lanes are forgotten, and none with work`() throws {
        let run = SchedulerRun(progressInterval: .seconds(10))
        let waiting = try command(7, "waiting")
        run.add(waiting)
        run.postpone(try #require(run.start()), .seconds(9))
        for _ in 0..<5000 {
            let request = EventID()
            run.add(try progress("accepted", of: request))
            _ = run.runAll()
            run.add(try progress("downloading", of: request))
            _ = run.runAll()
        }
        run.pass(.seconds(9))
        #expect(run.runAll() == ["waiting"])
    }
}

@Suite(.timeLimit(.minutes(1))) struct SharedSchedulerTests {
    private let scheduler = SharedScheduler(progressInterval: .seconds(3), limitsRates: false)

    private func command(_ chat: Int64, _ text: String) throws -> Job {
        try Job(Envelope(TelegramCommand(.send(TextMessage(text)), chat: .id(chat))))
    }

    @Test func `A sender waits until a job is due`() async throws {
        scheduler.add(try command(1, "a"))
        let job = try #require(await scheduler.next())
        let start = ContinuousClock.now
        scheduler.postpone(job, until: start + .milliseconds(50))
        #expect(await scheduler.next()?.name == "a")
        #expect(ContinuousClock.now - start >= .milliseconds(50))
    }

    @Test func `A new job and the stop wake a sender that waits`() async throws {
        async let next = scheduler.next()
        try await Task.sleep(for: .milliseconds(20))
        scheduler.add(try command(1, "a"))
        #expect(await next?.name == "a")
        async let last = scheduler.next()
        scheduler.stop()
        #expect(await last == nil)
    }

    @Test func `A dropped job is done, without results`() async throws {
        let (request, meta): (EventID, JSONObject) = (EventID(), ["origin": ["chat_id": 1, "message_id": 2]])
        let jobs = try [MediaProgress.State.accepted, .downloading, .storing].map { state in
            try Job(Envelope(MediaProgress(state, kind: .video), meta: meta, correlationID: request))
        }
        for job in jobs { scheduler.add(job) }
        let failure = DownloadFailed(kind: .video, url: nil, code: "x", reason: "No.", isTransient: false)
        scheduler.add(try Job(Envelope(failure, meta: meta, correlationID: request)))
        for job in jobs {
            guard case .done(let results) = try await job.outcome.value() else {
                Issue.record("the job is not done")
                continue
            }
            #expect(results.isEmpty)
        }
    }
}
