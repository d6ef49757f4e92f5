import Envelope
import JSON
import Testing

@testable import ev_replay

@Suite struct ComparisonTests {
    private func requests(_ events: [Envelope], _ rules: GoldenRules = GoldenRules()) -> [GoldenRequest] {
        var recording = GoldenRecording(rules)
        for event in events { recording.add(event) }
        return recording.requests
    }

    /// A run: each call has new ids and times.
    private func run(title: String = "A", count: Int = 1) -> [Envelope] {
        (0..<count).flatMap { number -> [Envelope] in
            let first = Envelope(
                type: "events.telegram.raw",
                payload: ["update_id": .integer(.random(in: 0..<1_000_000)), "n": .integer(Int64(number))])
            var second = Envelope(
                type: "events.dl.video.ready",
                payload: [
                    "title": .string(title), "fetched_at": .string(Timestamp.now.description), "width": 640,
                    "url": .string("https://s3/x?sig=\(EventID())"),
                    "url_expires_at": .string(Timestamp.now.description),
                ], correlationID: first.correlationID)
            second.causationID = first.id
            return [first, second]
        }
    }

    private func lines(_ old: [Envelope], _ new: [Envelope], _ rules: GoldenRules = GoldenRules()) -> [String] {
        Comparison(requests(old, rules), requests(new, rules)).lines
    }

    @Test func `Two runs of the same work are equal, in any order of their events`() {
        #expect(lines(run(count: 3), run(count: 3)) == [])
        #expect(lines(run(count: 3), run(count: 3).reversed()) == [])
    }

    @Test func `A changed field is named with both values`() {
        let found = lines(run(title: "Old"), run(title: "New\u{1B}[2J"))
        #expect(found.count == 3 && found[0].hasPrefix("request of events.telegram.raw "))
        #expect(found[2] == #"    payload.title: "Old", now "New\u001b[2J""#)
    }

    @Test func `Missing and new events and requests are named`() {
        let run = run()
        #expect(lines(run, [run[0]]).last?.hasPrefix("  missing: events.dl.video.ready ") == true)
        #expect(lines([run[0]], run).last?.hasPrefix("  new: events.dl.video.ready ") == true)
        #expect(lines(run, []).first?.hasPrefix("missing request of events.telegram.raw") == true)
        #expect(lines([], run).first?.hasPrefix("new request of events.telegram.raw") == true)
        // The same request twice is not the same as once.
        #expect(lines(run, run + [Envelope](self.run())).count == 1)
    }

    @Test func `An event with another cause differs`() {
        var changed = run()
        changed[1].causationID = nil
        #expect(lines(run(), changed).contains { $0.contains("caused by: events.telegram.raw, now nothing") })
    }

    @Test func `Fields can be left out and compared by name`() {
        #expect(lines(run(title: "Old"), run(title: "New"), GoldenRules(ignoring: ["title"])) == [])
        #expect(!lines(run(), run(), GoldenRules(keeping: ["update_id"])).isEmpty)
        #expect(!lines(run(), run(), GoldenRules(keeping: ["fetched_at"])).isEmpty)
    }
}
