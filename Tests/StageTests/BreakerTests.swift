import Envelope
import JSON
import Logging
import Synchronization
import System
import enum System.ExitStatus
import Testing
import Tracing

@testable import Stage

@Suite struct BreakerTests {
    /// Probes a breaker whenever it asks for it, until it is closed.
    ///
    /// - Parameter outage: the time for which probes fail.
    /// - Returns: the times of the probes, from the start.
    private func probes(of breaker: inout Breaker, during outage: Duration) -> [Duration] {
        let start = ContinuousClock.now
        var now = start
        var times: [Duration] = []
        while true {
            switch breaker.step(now: now) {
            case .closed: return times
            case .probe:
                times.append(now - start)
                _ = breaker.probed(isBack: now - start >= outage, now: now)
            case .wait(let time): now = time ?? now + .seconds(1)
            }
        }
    }

    @Test func `A suspicion is no outage until a probe fails`() {
        let now = ContinuousClock.now
        var breaker = Breaker()
        #expect(breaker.fail(isCertain: false, now: now) == .none)
        #expect(!breaker.isOpen)
        #expect(breaker.step(now: now) == .probe)
        #expect(breaker.step(now: now) == .wait(until: nil))
        #expect(breaker.probed(isBack: true, now: now) == .none)
        #expect(breaker.step(now: now) == .closed)
        _ = breaker.fail(isCertain: false, now: now)
        _ = breaker.step(now: now)
        #expect(breaker.probed(isBack: false, now: now) == .opened)
        #expect(breaker.isOpen)
    }

    @Test func `A failure that no event can cause needs no probe`() {
        let now = ContinuousClock.now
        var breaker = Breaker()
        #expect(breaker.fail(isCertain: true, now: now) == .opened)
        #expect(breaker.fail(isCertain: true, now: now) == .none)
        #expect(breaker.step(now: now) != .probe)
    }

    @Test(arguments: [3, 10, 60, 600, 86_400])
    func `A service that is away is probed ever less often, and its return is noticed within seconds`(_ seconds: Int) {
        var breaker = Breaker()
        _ = breaker.fail(isCertain: true, now: .now)
        let times = probes(of: &breaker, during: .seconds(seconds))
        #expect(times.last ?? .zero >= .seconds(seconds))
        #expect(times.last ?? .zero <= .seconds(seconds + 11))
        #expect(times.count <= seconds / 5 + 10)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 <= .seconds(10) })
    }

    @Test func `Calls that fail although the service answers are tried after growing pauses, for an hour`() {
        let start = ContinuousClock.now
        var (now, breaker, tries) = (start, Breaker(), 0)
        #expect(breaker.failDespiteAnswers(now: now) == .opened)
        while now - start < .seconds(3700) {
            #expect(breaker.isOpen)
            guard case .wait(let until?) = breaker.step(now: now) else { break }
            #expect(until - now <= .seconds(10))
            now = until
            #expect(breaker.step(now: now) == .closed && !breaker.isOpen && breaker.isTrying)
            // A suspicion needs no probe, and is none of the events'.
            #expect(breaker.fail(isCertain: false, now: now) == .none && breaker.step(now: now) == .closed)
            tries += 1
            if breaker.failDespiteAnswers(now: now) != .none { break }
        }
        #expect(now - start >= .seconds(3600) && now - start <= .seconds(3620))
        #expect((360...800).contains(tries))
        #expect(!breaker.isOpen && !breaker.isTrying)
        // The success of a call ends it as well.
        _ = breaker.failDespiteAnswers(now: now)
        _ = breaker.step(now: now + .seconds(10))
        #expect(breaker.succeed(now: now + .seconds(10)) == .closed(after: .seconds(10)))
    }

    @Test func `Another caller probes if the first cannot`() {
        let now = ContinuousClock.now
        var breaker = Breaker()
        _ = breaker.fail(isCertain: false, now: now)
        #expect(breaker.step(now: now) == .probe)
        breaker.abandonProbe()
        #expect(breaker.step(now: now) == .probe)
    }
}

@Suite(.timeLimit(.minutes(1))) struct OutagesTests {
    private struct Failure: OutageSign, ReportableError {
        var suspectedOutage: SuspectedOutage?
        var outageReason: String { "no answer" }
        var message: String { "no answer" }
        var exitStatus: ExitStatus { .unavailable }
    }

    /// A service that is away until it is called back.
    private final class Service: Sendable {
        let isAway = Atomic(false)
        let calls = Atomic(0)
        let done = Atomic(0)
        /// Is true if calls fail, but not the probe.
        let refuses = Atomic(false)

        func call(isCertain: Bool) throws {
            calls.add(1, ordering: .relaxed)
            guard isAway.load(ordering: .relaxed) else { return }
            throw Failure(suspectedOutage: SuspectedOutage(.store, isCertain: isCertain))
        }
    }

    /// Counts the lines of a log.
    private final class Lines: LogSink {
        let texts = Mutex<[String]>([])
        func write(_ record: LogRecord) { texts.withLock { $0.append(record.message) } }
    }

    private let service = Service()
    private let shutdown = Shutdown()
    private let lines = Lines()
    private let outages: Outages

    init() {
        let lines = lines
        let log = Logger(label: "test") { _, provider in
            ToolLog(tool: "test", level: .info, sinks: [lines], metadataProvider: provider)
        }
        outages = Outages(log: log, shutdown: shutdown)
        outages.watch(.store) { [service] in try service.call(isCertain: false) }
    }

    @Test(arguments: [false, true])
    func `Sixty events wait for a service and are each done once`(_ isCertain: Bool) async throws {
        service.isAway.store(true, ordering: .relaxed)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<60 {
                group.addTask { [outages, service] in
                    try await outages.riding {
                        try service.call(isCertain: isCertain)
                        service.done.add(1, ordering: .relaxed)
                    }
                }
            }
            group.addTask { [service] in
                try await Task.sleep(for: .milliseconds(700))
                service.isAway.store(false, ordering: .relaxed)
            }
            try await group.waitForAll()
        }
        #expect(service.done.load(ordering: .relaxed) == 60)
        #expect(outages.away == nil)
        #expect(lines.texts.withLock { $0.count { $0.contains("is away") } } == 1)
        #expect(lines.texts.withLock { $0.count { $0.contains("answers again") } } == 1)
        #expect(lines.texts.withLock { $0.count } == 2)
    }

    /// Lets each event call an operation that fails as long as the service refuses it, although the service answers probes.
    ///
    /// - Returns: the number of events for which it succeeded.
    private func call(_ events: [Envelope]) async throws -> Int {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for event in events {
                group.addTask { [outages, service] in
                    try await Tracer.correlating(with: event) {
                        do {
                            try await outages.riding {
                                guard service.refuses.load(ordering: .relaxed) else { return }
                                throw Failure(suspectedOutage: SuspectedOutage(.store))
                            }
                            return true
                        } catch is Failure {
                            return false
                        }
                    }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
    }

    @Test func `A service that answers probes and fails for several events uses up the attempts of few`() async throws {
        let events = (0..<20).map { _ in Envelope(type: "a.b", payload: [:]) }
        service.refuses.store(true, ordering: .relaxed)
        async let end: Void = { [outages, service] in
            while outages.away == nil { try await Task.sleep(for: .milliseconds(5)) }
            service.refuses.store(false, ordering: .relaxed)
        }()
        let done = try await call(events)
        try await end
        // The first ones cannot know that they are not alone.
        #expect(done >= 18)
        #expect(outages.away == nil)
        #expect(lines.texts.withLock { $0.count { $0.contains("is away") } } == 1)
        #expect(lines.texts.withLock { $0.count { $0.contains("answers again") } } == 1)
    }

    @Test func `One event that always fails is its own fault, however often it is tried`() async throws {
        service.refuses.store(true, ordering: .relaxed)
        let event = Envelope(type: "a.b", payload: [:])
        for _ in 0..<5 { #expect(try await call([event]) == 0) }
        #expect(lines.texts.withLock { $0.isEmpty })
    }

    @Test func `An outage does not end because the service is watched anew`() async throws {
        let isFirst = Failure(suspectedOutage: SuspectedOutage(.store, isCertain: true))
        #expect(try await outages.outage(behind: isFirst) == .store)
        service.isAway.store(true, ordering: .relaxed)
        outages.watch(.store) { [service] in try service.call(isCertain: true) }
        #expect(outages.away == .store)
        #expect(try await outages.outage(behind: isFirst) == .store)
        #expect(lines.texts.withLock { $0.count { $0.contains("is away") } } == 1)
    }

    @Test func `A failure while the service answers is the event's own`() async throws {
        await #expect(throws: Failure.self) {
            try await outages.riding { throw Failure(suspectedOutage: SuspectedOutage(.store)) }
        }
        await #expect(throws: Failure.self) { try await outages.riding { throw Failure() } }
        #expect(service.calls.load(ordering: .relaxed) == 1)
        #expect(lines.texts.withLock { $0.isEmpty })
    }

    @Test func `A shutdown returns the event to its queue, and the attempt does not count`() async throws {
        service.isAway.store(true, ordering: .relaxed)
        async let result: Void = outages.riding { try service.call(isCertain: true) }
        while outages.away == nil { try await Task.sleep(for: .milliseconds(5)) }
        shutdown.request()
        do {
            try await result
            Issue.record("the event is done")
        } catch {
            guard case .putBack = QueueFailure(error) else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
