package import Envelope
package import JSON

/// The payload of one event type, or of several types that share a payload.
///
/// Reading is lenient, because scripts write events too: a value conforms to its schema in `schemas/` when tgpipe made it,
/// and holds at least what its readers need when it was read. Writing has one order of keys for each payload.
package protocol EventPayload: Sendable, Hashable {
    /// The event types that have this payload.
    static var types: [String] { get }
    /// The version of the payload's schema.
    static var version: Int { get }

    /// The event type of this value, which is one of `types`.
    var type: String { get }
    /// The payload as an event carries it.
    var json: JSONObject { get }

    /// Reads a payload.
    ///
    /// - Parameter type: The type of the event that carries the payload.
    /// - Throws: `MalformedInput` if a reader of this payload cannot work without what is missing or wrong.
    init(_ payload: JSONObject, type: String) throws(MalformedInput)

    /// Reads the payload of an event.
    ///
    /// - Throws: `MalformedInput` as above, and if `meta` lacks what this payload leaves to it.
    init(_ event: Envelope) throws(MalformedInput)
}

extension EventPayload {
    package static var version: Int { 1 }

    package init(_ event: Envelope) throws(MalformedInput) { try self.init(event.payload, type: event.type) }
}

extension Envelope {
    /// Makes the first event of a correlation.
    package init(_ payload: some EventPayload, meta: JSONObject = [:], correlationID: EventID = EventID()) {
        self.init(
            type: payload.type, version: Swift.type(of: payload).version, payload: payload.json, meta: meta,
            correlationID: correlationID)
    }

    /// Makes an event that the current one caused, as `derived(type:version:payload:)` does.
    package static func derived(_ payload: some EventPayload) -> Envelope {
        .derived(type: payload.type, version: Swift.type(of: payload).version, payload: payload.json)
    }
}

/// Takes the members of a payload one by one, and keeps those that nothing asked for.
struct PayloadReader {
    private var members: [JSONObject.Member]
    private let type: String

    init(_ payload: JSONObject, type: String = "") {
        members = payload.members
        self.type = type
    }

    /// The members that were not taken: unknown keys, and known keys whose values have a wrong type.
    var unknown: JSONObject { JSONObject(members) }

    /// Takes the member of a key, unless it is absent or `read` does not understand its value.
    mutating func take<Value>(_ key: String, _ read: (JSON) -> Value?) -> Value? {
        guard let index = members.firstIndex(where: { $0.key == key }), let value = read(members[index].value) else {
            return nil
        }
        members.remove(at: index)
        return value
    }

    mutating func string(_ key: String) -> String? { take(key, \.string) }
    mutating func integer(_ key: String) -> Int64? { take(key, \.int) }
    mutating func number(_ key: String) -> JSONNumber? { take(key) { JSONNumber($0) } }
    mutating func bool(_ key: String) -> Bool? { take(key, \.bool) }

    /// Takes a value that must not be ignored when its type is wrong.
    ///
    /// - Returns: nil if the key is absent.
    /// - Throws: `MalformedInput` if its value is of a wrong type.
    mutating func strict<Value>(_ key: String, _ read: (JSON) -> Value?) throws(MalformedInput) -> Value? {
        if let value = take(key, read) { return value }
        guard members.first(where: { $0.key == key })?.value.isNull ?? true else {
            throw MalformedInput(.invalidPayload, "\(type): \(key) has the wrong type")
        }
        return nil
    }

    /// Takes the id of a message, which scripts also write as text.
    mutating func messageID(_ key: String) throws(MalformedInput) -> Int64? {
        try strict(key, \.long)
    }
}

extension JSONObject {
    /// The members of this object, and those of another whose keys it lacks.
    func followed(by others: JSONObject) -> JSONObject {
        guard !others.isEmpty else { return self }
        return JSONObject(members + others.members.filter { other in !members.contains { $0.key == other.key } })
    }
}

extension JSON {
    init?(_ text: String?) {
        guard let text else { return nil }
        self = .string(text)
    }

    init?(_ integer: Int64?) {
        guard let integer else { return nil }
        self = .integer(integer)
    }

    init?(_ number: JSONNumber?) {
        guard let number else { return nil }
        self = number.json
    }

    init?(_ value: Bool?) {
        guard let value else { return nil }
        self = .bool(value)
    }
}
