import Envelope
import JSON

/// Changes the ids and times of replayed events.
struct EventChanges: Sendable {
    /// Selects the new ids; nil to keep the ids.
    let seed: UInt64?
    /// The time that is added to all times; nil to keep them.
    var shiftMicroseconds: Int64?

    var isNeeded: Bool { seed != nil || shiftMicroseconds != nil }

    private static let idKeys: Set<String> = ["id", "correlation_id", "causation_id"]
    private static let secondsKeys: Set<String> = ["date", "edit_date", "scheduled_at"]

    /// Returns an event's line with its line feed.
    func line(of event: JSON) -> [UInt8] {
        guard case .object(let object) = event else { return event.bytes + [UInt8(ascii: "\n")] }
        let changed = JSONObject(object.members.map { .init(key: $0.key, value: topLevel($0.key, $0.value)) })
        var bytes: [UInt8] = []
        changed.write(to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private func topLevel(_ key: String, _ value: JSON) -> JSON {
        if seed != nil, EventChanges.idKeys.contains(key), let id = value.string.flatMap({ EventID($0) }) {
            return .string(newID(id).description)
        }
        var value = value
        if seed != nil, key == "meta", var meta = value.object {
            // The new request begins a trace of its own.
            meta["traceparent"] = nil
            value = .object(meta)
        }
        // A cancellation names the request that it ends.
        if seed != nil, key == "payload", var payload = value.object,
            let id = payload["correlation_id"]?.string.flatMap({ EventID($0) })
        {
            payload["correlation_id"] = .string(newID(id).description)
            value = .object(payload)
        }
        return shiftMicroseconds.map { shifted(key, value, by: $0) } ?? value
    }

    private func newID(_ id: EventID) -> EventID {
        guard let seed else { return id }
        return id.replaced(seed: seed, shiftMilliseconds: (shiftMicroseconds ?? 0) / 1000)
    }

    /// Shifts all times: those in RFC 3339 whose keys are `timestamp` or end with `_at`, and Telegram's in seconds.
    private func shifted(_ key: String, _ value: JSON, by microseconds: Int64) -> JSON {
        switch value {
        case .object(let object):
            return .object(
                JSONObject(
                    object.members.map { .init(key: $0.key, value: shifted($0.key, $0.value, by: microseconds)) }))
        case .array(let items): return .array(items.map { shifted("", $0, by: microseconds) })
        case .integer(let seconds) where EventChanges.secondsKeys.contains(key):
            let sum = seconds.addingReportingOverflow(microseconds / 1_000_000)
            return sum.overflow ? value : .integer(max(0, sum.partialValue))
        case .string(let text) where key == "timestamp" || key.hasSuffix("_at"):
            guard let time = Timestamp(text) else { return value }
            let sum = time.microseconds.addingReportingOverflow(microseconds)
            // A time that has no text of four digits a year stays as it is.
            guard !sum.overflow, (0..<253_402_300_800_000_000).contains(sum.partialValue) else { return value }
            return .string(Timestamp(microseconds: sum.partialValue).description)
        default: return value
        }
    }
}
