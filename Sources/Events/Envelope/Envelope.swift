package import JSON

/// Represents one event or command, which travels as one line of NDJSON.
///
/// Keys are written in the order of the properties below. Unknown keys are kept and follow.
package struct Envelope: Sendable, Equatable {
    /// Identifies this event; the idempotency key.
    package var id: EventID
    /// Words joined by dots: `events.…` reports something that happened, `commands.…` requests an action.
    package var type: String
    /// The version of the payload's schema for this type, from 1.
    package var version: Int
    /// Is shared by all events that one first event caused.
    package var correlationID: EventID
    /// The `id` of the event that caused this one.
    package var causationID: EventID?
    /// The time when the event was made: RFC 3339, kept as it was written.
    package var timestamp: String
    package var payload: JSONObject
    /// Holds the data that stages attach: `actor`, `role`, `origin`, `received_at`, `rate_limited`, …
    package var meta: JSONObject
    /// The members whose keys this version does not know, in their order.
    package var unknown: JSONObject = [:]

    enum Key {
        static let id = "id"
        static let type = "type"
        static let version = "version"
        static let correlationID = "correlation_id"
        static let causationID = "causation_id"
        static let timestamp = "timestamp"
        static let payload = "payload"
        static let meta = "meta"
        static let all = [id, type, version, correlationID, causationID, timestamp, payload, meta]
    }

    /// Makes the first event of a correlation.
    package init(
        type: String, version: Int = 1, payload: JSONObject, meta: JSONObject = [:], correlationID: EventID = EventID()
    ) {
        let now = Timestamp.now
        id = EventID(at: now)
        self.type = type
        self.version = version
        self.correlationID = correlationID
        timestamp = now.description
        self.payload = payload
        self.meta = meta
    }

    /// Makes an event that the current one (`Correlation.current`) caused, with its correlation id and its meta.
    ///
    /// Without a current correlation the event begins a new one.
    package static func derived(type: String, version: Int = 1, payload: JSONObject) -> Envelope {
        let cause = Correlation.current
        var envelope = Envelope(
            type: type, version: version, payload: payload, meta: cause?.derivedMeta ?? [:],
            correlationID: cause?.correlationID ?? EventID())
        envelope.causationID = cause?.causationID
        return envelope
    }

    /// Reads a parsed line, and fills in `id`, `version`, `timestamp`, `payload` and `meta` where they are absent.
    ///
    /// - Throws: `MalformedInput` with the key at fault.
    package init(_ json: JSON) throws(MalformedInput) {
        guard case .object(let object) = json else { throw MalformedInput(.notObject, "not a JSON object") }
        guard let type = object[Key.type]?.string else { throw MalformedInput(.missingType, "no type") }
        guard let correlation = object[Key.correlationID]?.string.flatMap({ EventID($0) }) else {
            throw MalformedInput(.missingCorrelationID, "no valid correlation_id")
        }
        self.type = type
        correlationID = correlation
        version = Int(try Envelope.field(object, Key.version, \.int) ?? 1)
        // A new id and the present time cost more than the other fields together, so they are made only if they are needed.
        id = try Envelope.field(object, Key.id) { $0.string.flatMap { EventID($0) } } ?? EventID()
        causationID = try Envelope.field(object, Key.causationID) { $0.string.flatMap { EventID($0) } }
        timestamp =
            try Envelope.field(object, Key.timestamp) { $0.string.flatMap { Timestamp.isWellFormed($0) ? $0 : nil } }
            ?? Timestamp.now.description
        payload = try Envelope.field(object, Key.payload, \.object) ?? [:]
        meta = try Envelope.field(object, Key.meta, \.object) ?? [:]
        unknown = JSONObject(object.members.filter { !Key.all.contains($0.key) })
    }

    /// Returns whether a parsed line has an `id` of its own, which reading it would otherwise fill in.
    package static func hasID(_ json: JSON) -> Bool { json[Key.id] != nil }

    private static func field<Value>(
        _ object: JSONObject, _ key: String, _ read: (JSON) -> Value?
    ) throws(MalformedInput) -> Value? {
        guard let json = object[key] else { return nil }
        guard let value = read(json) else {
            throw MalformedInput(.invalidField, "\(key) has the wrong type or form")
        }
        return value
    }

    package var json: JSON {
        var members: [JSONObject.Member] = [
            .init(key: Key.id, value: .string(id.description)),
            .init(key: Key.type, value: .string(type)),
            .init(key: Key.version, value: .integer(Int64(version))),
            .init(key: Key.correlationID, value: .string(correlationID.description)),
        ]
        if let causationID { members.append(.init(key: Key.causationID, value: .string(causationID.description))) }
        members.append(.init(key: Key.timestamp, value: .string(timestamp)))
        members.append(.init(key: Key.payload, value: .object(payload)))
        members.append(.init(key: Key.meta, value: .object(meta)))
        return .object(JSONObject(members + unknown.members))
    }

    /// The envelope as one line with its line feed.
    package var line: [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(512)
        write(to: &output)
        return output
    }

    /// Appends the envelope as one line with its line feed: the text of `json`, without a tree for it.
    ///
    /// - Parameter firstMeta: members of `meta` as JSON text with commas between them, which are written before the envelope's own. They must
    ///   have other keys than these.
    package func write(to output: inout [UInt8], firstMeta: [UInt8] = []) {
        func put(_ key: StaticString, _ id: EventID) {
            output.append(literal: key)
            id.write(to: &output)
            output.append(UInt8(ascii: "\""))
        }
        put(#"{"id":""#, id)
        output.append(literal: #","type":"#)
        JSON.string(type).write(to: &output)
        output.append(literal: #","version":"#)
        JSON.integer(Int64(version)).write(to: &output)
        put(#","correlation_id":""#, correlationID)
        if let causationID { put(#","causation_id":""#, causationID) }
        output.append(literal: #","timestamp":"#)
        JSON.string(timestamp).write(to: &output)
        output.append(literal: #","payload":"#)
        payload.write(to: &output)
        output.append(literal: #","meta":{"#)
        output.append(contentsOf: firstMeta)
        if !firstMeta.isEmpty, !meta.isEmpty { output.append(UInt8(ascii: ",")) }
        meta.writeMembers(to: &output)
        output.append(UInt8(ascii: "}"))
        if !unknown.isEmpty {
            output.append(UInt8(ascii: ","))
            unknown.writeMembers(to: &output)
        }
        output.append(literal: "}\n")
    }
}
