import ArgumentParser
import Digest
package import Envelope
import JSON

/// Where an event says whose it is.
package enum EventKey: ExpressibleByArgument, CustomStringConvertible, Sendable, Equatable {
    /// `meta.actor.id`, else who sent what the update holds (`payload.message.from.id`, `payload.callback_query.from.id`, …).
    case user
    /// `meta.origin.chat_id`, else the chat that the update is from.
    case chat
    /// Dotted keys from the envelope's top.
    case path([String])

    package init?(argument: String) {
        switch argument {
        case "user": self = .user
        case "chat": self = .chat
        default:
            let words = argument.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            // A single word that is no key of an envelope is a slip.
            guard words.count > 1 || EventKey.topKeys.contains(argument), !words.contains("") else { return nil }
            self = .path(words)
        }
    }

    private static let topKeys: Set<String> = ["id", "type", "version", "correlation_id", "causation_id", "timestamp"]

    package var description: String {
        switch self {
        case .user: "user"
        case .chat: "chat"
        case .path(let words): words.joined(separator: ".")
        }
    }

    package var defaultValueDescription: String { description }

    /// Longer keys are counted under their SHA-256: a field may hold a megabyte, and Redis and an outage keep every key.
    private static let maxBytes = 200

    /// The key of an event; nil when it has none.
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
        firstFound(in: update) { $0["from"]?["id"] }
    }

    private static func chat(of update: JSONObject) -> JSON? {
        firstFound(in: update) { $0["chat"]?["id"] ?? $0["message"]?["chat"]?["id"] }
    }

    /// An update holds one object, under the name of its kind.
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
