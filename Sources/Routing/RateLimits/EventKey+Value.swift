import Crypto
package import Envelope
import JSON
package import Options
import Payloads

extension EventKey {
    /// The longest key that is counted under its own text. A longer one is counted under its SHA-256, because a field can hold
    /// a megabyte, and both Redis and the record of an outage keep every key.
    static let maxBytes = 200

    /// Returns the text that an event is counted by, or nil when the event has no such field.
    package func value(in event: Envelope) -> String? {
        let found: JSON? =
            switch self {
            case .user: event.meta.value(at: ["actor", "id"]) ?? EventKey.sender(of: event.payload)
            case .chat: event.meta.value(at: ["origin", "chat_id"]) ?? EventKey.chat(of: event.payload)
            case .path(let words): EventKey.value(at: words, in: event)
            }
        return found.map { EventKey.counted($0.string ?? $0.text) }
    }

    /// Returns the text under which the value of a field is counted.
    static func counted(_ value: String) -> String {
        value.utf8.count <= maxBytes ? value : "sha256:\(SHA256.hexDigest(value.utf8))"
    }

    /// The path of the field that most events are counted by; nil if only the whole event shows it.
    var fieldPath: [String]? {
        switch self {
        case .user: ["meta", "actor", "id"]
        case .chat: ["meta", "origin", "chat_id"]
        case .path(let words):
            // The other keys are counted as an envelope writes them, and `*` would mean each item of an array.
            ["payload", "meta"].contains(words[0]) && !words.contains("*") ? words : nil
        }
    }

    private static func sender(of update: JSONObject) -> JSON? {
        firstFound(in: update) { MessageIdentity(of: $0)?.id.map { .integer($0) } }
    }

    private static func chat(of update: JSONObject) -> JSON? {
        firstFound(in: update) { $0["chat"]?["id"] ?? $0["message"]?["chat"]?["id"] }
    }

    /// Looks through the members of an update, which holds one object under the name of its kind.
    private static func firstFound(in update: JSONObject, _ look: (JSON) -> JSON?) -> JSON? {
        for member in update.members {
            if let found = look(member.value) { return found }
        }
        return nil
    }

    private static func value(at words: [String], in event: Envelope) -> JSON? {
        let rest = words.dropFirst()
        switch words[0] {
        case "payload": return event.payload.value(at: rest)
        case "meta": return event.meta.value(at: rest)
        default: return event.json.object?.value(at: words)
        }
    }
}
