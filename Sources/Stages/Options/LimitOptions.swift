import ArgumentParser
package import Redis

/// Selects the part of an event that a rate limit counts by.
package enum EventKey: ExpressibleByArgument, CustomStringConvertible, Sendable, Equatable {
    /// `meta.actor.id`, else the sender of the update: the person, or the chat in whose name it was sent.
    case user
    /// `meta.origin.chat_id`, else the chat in the update.
    case chat
    /// The keys from the top of the envelope to the field, written with dots between them.
    case path([String])

    private static let topKeys: Set<String> = ["id", "type", "version", "correlation_id", "causation_id", "timestamp"]

    package init?(argument: String) {
        switch argument {
        case "user": self = .user
        case "chat": self = .chat
        default:
            let words = argument.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            // A single word that is not a key of an envelope is a slip.
            guard words.count > 1 || EventKey.topKeys.contains(argument), !words.contains("") else { return nil }
            self = .path(words)
        }
    }

    package var description: String {
        switch self {
        case .user: "user"
        case .chat: "chat"
        case .path(let words): words.joined(separator: ".")
        }
    }

    package var defaultValueDescription: String { description }

    /// The key as words of a sentence.
    package var words: String {
        switch self {
        case .user: "a user"
        case .chat: "a chat"
        case .path: "the field \(self)"
        }
    }
}

/// Selects the action on an event over the limit.
package enum LimitAction: String, ExpressibleByArgument, CaseIterable, Sendable {
    case mark, drop, reply
}

/// Selects the decision on an event while Redis cannot be reached: allowed (open) or over the limit (closed).
package enum FailureMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    case open, closed
}

extension RateLimit.Algorithm: ExpressibleByArgument {}
extension RateMode: ExpressibleByArgument {}
