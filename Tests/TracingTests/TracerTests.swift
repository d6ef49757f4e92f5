import Envelope
import JSON
import Synchronization
import Testing
import Tracing

/// Keeps the names of what it observes.
private final class RecordingObserver: HandlingObserver {
    private let kept = Mutex<[String]>([])

    var notes: [String] { kept.withLock { $0 } }

    func began(_ handling: Handling) { kept.withLock { $0.append("begin \(handling.eventType)") } }

    func ended(_ handling: Handling, _ outcome: HandlingOutcome, after duration: Duration) {
        kept.withLock { $0.append("end \(handling.eventType) \(outcome)") }
        #expect(duration >= .zero)
    }
}

@Suite struct TracerTests {
    private struct Failure: Error {}

    private let event = Envelope(type: "events.a", payload: [:], meta: ["role": "admin"])

    @Test func `Handling sets the correlation for its body only`() async throws {
        let tracer = Tracer()
        let derived = await tracer.handling(event) {
            await Task.yield()
            return Envelope.derived(type: "events.b", payload: [:])
        }
        #expect(derived.correlationID == event.correlationID && derived.causationID == event.id)
        #expect(Correlation.current == nil)
    }

    @Test func `A handler without waits sees the correlation too`() {
        let cause = Tracer().handling(event) { Correlation.current?.causationID }
        #expect(cause == event.id)
        #expect(Correlation.current == nil)
    }

    @Test func `Another cause can be given`() {
        let cause = Correlation(correlationID: event.correlationID)
        let derived = Tracer().handling(event, causedBy: cause) { Envelope.derived(type: "events.b", payload: [:]) }
        #expect(derived.correlationID == event.correlationID && derived.causationID == nil)
    }

    @Test func `Durations are added up`() async throws {
        let tracer = Tracer()
        for _ in 0..<2 {
            try await tracer.handling(event) { try await Task.sleep(for: .milliseconds(20)) }
        }
        let figures = try #require(tracer.statistics.all["events.a"])
        #expect(figures.longest >= .milliseconds(20) && figures.total >= .milliseconds(40))
        #expect(figures.counts == [.done: 2])
    }

    @Test func `Events are counted by type and outcome`() throws {
        let tracer = Tracer()
        tracer.handling(event) {}
        #expect(throws: Failure.self) { try tracer.handling(event) { throw Failure() } }
        #expect(throws: CancellationError.self) { try tracer.handling(event) { throw CancellationError() } }
        #expect(throws: MalformedInput.self) {
            try tracer.handling(event) { throw MalformedInput(.invalidPayload, "no") }
        }
        tracer.begin(event).end(.held)
        tracer.handling(Envelope(type: "events.b", payload: [:])) {}
        let figures = try #require(tracer.statistics.all["events.a"])
        #expect(figures.counts == [.done: 1, .failed: 1, .cancelled: 1, .refused: 1, .held: 1])
        #expect(figures.count == 5)
        #expect(tracer.statistics.all["events.b"]?.counts == [.done: 1])
    }

    @Test func `An observer sees the beginning and the end of each handling`() {
        let observer = RecordingObserver()
        let tracer = Tracer(observers: [observer])
        tracer.handling(event) {}
        #expect(observer.notes == ["begin events.a", "end events.a done"])
    }

    @Test func `Steps of one handling share its correlation, and count once`() async {
        let tracer = Tracer()
        let handling = tracer.begin(event)
        let first = handling.step { Correlation.current?.correlationID }
        let second = await handling.step { () async in Correlation.current?.correlationID }
        #expect(first == event.correlationID && second == event.correlationID)
        handling.end(.done)
        #expect(tracer.statistics.all["events.a"]?.count == 1)
    }

    @Test func `The number of types that are kept apart is bounded`() {
        let statistics = Tracer()
        for number in 0..<300 { statistics.handling(Envelope(type: "events.t\(number)", payload: [:])) {} }
        #expect(statistics.statistics.all.count == 201)
        #expect(statistics.statistics.all[HandlingStatistics.otherTypes]?.count == 100)
    }
}
