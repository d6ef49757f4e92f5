import Crypto
package import Envelope
import JSON
package import Options
import Payloads

extension EventKey {
    /// The longest key that is counted under its own text. A longer one is counted under its SHA-256, because a field can hold
    /// a megabyte, and both Redis and the record of an outage keep every key.
    private static let maxBytes = 200

    /// Returns the text that an event is counted by, or nil when the event has no such field.
    package func value(in event: Envelope) -> String? {
        let found: JSON? =
            switch self {
            case .user: event.meta.value(at: ["actor", "id"]) ?? EventKey.sender(of: event.payload)
            case .chat: event.meta.value(at: ["origin", "chat_id"]) ?? EventKey.chat(of: event.payload)
            case .path(let words): EventKey.value(at: words, in: event)
            }
        guard let found else { return nil }
        let key = found.string ?? found.text
        return key.utf8.count <= EventKey.maxBytes ? key : "sha256:\(SHA256.hexDigest(key.utf8))"
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
