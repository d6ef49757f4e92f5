import Envelope
import JSON
import Testing

@testable import ev_replay

@Suite struct EventChangesTests {
    private static let first = "0191e0a0-0000-7000-8000-000000000001"
    private static let second = "0191E0A0-0001-7abc-8000-000000000002"
    private static let correlation = "4b1c7a52-9d2e-4f0a-8a3b-0123456789ab"

    private func event(_ id: String, causedBy cause: String? = nil) throws -> JSON {
        let cause = cause.map { #","causation_id":"\#($0)""# } ?? ""
        return try JSON(
            parsing: #"{"id":"\#(id)","type":"a.b","correlation_id":"\#(Self.correlation)"\#(cause),"#
                + #""timestamp":"2026-01-01T00:00:00Z","payload":{"date":100,"fetched_at":"2026-01-01T00:00:01.5Z","#
                + #""id":"\#(id)","title":"x_at"},"meta":{"traceparent":"00-4b1c7a529d2e4f0a8a3b0123456789ab-1-01"},"z":1}"#
        )
    }

    private func changed(_ event: JSON, _ changes: EventChanges) throws -> JSON {
        let line = changes.line(of: event)
        #expect(line.last == UInt8(ascii: "\n"))
        return try JSON(parsing: Array(line.dropLast()))
    }

    @Test func `New ids keep the causes, the versions and the times of ids, and depend on the seed only`() throws {
        let changes = EventChanges(seed: 7)
        let one = try changed(try event(Self.first), changes)
        let two = try changed(try event(Self.second, causedBy: Self.first), changes)
        let id = try #require(one["id"]?.string.flatMap { EventID($0) })
        #expect(one["id"] != .string(Self.first) && id.version == 7)
        #expect(one["id"]?.string?.prefix(18) == Self.first.prefix(18))
        #expect(two["causation_id"] == one["id"] && two["correlation_id"] == one["correlation_id"])
        #expect(one["correlation_id"] != .string(Self.correlation))
        #expect(one["correlation_id"]?.string.flatMap { EventID($0) }?.version == 4)
        #expect(try changed(try event(Self.first), EventChanges(seed: 7)) == one)
        #expect(try changed(try event(Self.first), EventChanges(seed: 8))["id"] != one["id"])
        // The trace of the recording is not continued, and the payload is the event's own.
        #expect(one["meta"] == [:] && one["payload"]?["id"] == .string(Self.first))
    }

    @Test func `A cancellation names the same request after its id has changed`() throws {
        let cancellation = try JSON(
            parsing: #"{"id":"\#(Self.second)","type":"commands.media.cancel","correlation_id":"\#(Self.second)","#
                + #""payload":{"correlation_id":"\#(Self.correlation)"}}"#)
        let request = try changed(try event(Self.first), EventChanges(seed: 7))
        let changed = try changed(cancellation, EventChanges(seed: 7))
        #expect(changed["payload"]?["correlation_id"] == request["correlation_id"])
        #expect(changed["correlation_id"] != request["correlation_id"])
    }

    @Test func `All times are shifted by the same span, and everything else stays`() throws {
        let shifted = try changed(
            try event(Self.first), EventChanges(seed: nil, shiftMicroseconds: 3_600_000_000))
        #expect(shifted["timestamp"] == "2026-01-01T01:00:00.000000Z")
        #expect(shifted["payload"]?["fetched_at"] == "2026-01-01T01:00:01.500000Z")
        #expect(shifted["payload"]?["date"] == 3700 && shifted["payload"]?["title"] == "x_at" && shifted["z"] == 1)
        #expect(shifted["id"] == .string(Self.first))
    }

    @Test(arguments: [Int64.max, .min, 253_402_300_800_000_000]) func `Times that cannot be shifted stay`(
        _ shift: Int64
    ) throws {
        let event = try event(Self.first)
        #expect(
            try changed(event, EventChanges(seed: nil, shiftMicroseconds: shift))["timestamp"] == event["timestamp"])
    }
}
