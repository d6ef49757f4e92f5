package import Envelope
import JSON

/// Names the request that a message belongs to: the user's own message, or the reply that shows the progress.
///
/// tg-send notes it in Redis, so that an answer to the message can refer to the request.
package struct ShownRequest: Sendable, Equatable {
    package let request: EventID
    /// The user who made the request; nil if that is not known.
    package let user: Int64?

    package init(_ request: EventID, user: Int64?) { (self.request, self.user) = (request, user) }

    /// - Parameter speaker: the bot or account that the chat belongs to: each counts its messages by itself.
    package static func key(speaker: Int64, chat: Int64, message: Int64) -> String {
        "tgpipe:{speaker:\(speaker)}:shown:\(chat)/\(message)"
    }

    /// The key of the message id of a request's reply that shows the progress.
    package static func replyKey(_ request: EventID) -> String { "tgpipe:correlation:\(request):reply" }

    /// The key of the end of a request of one kind.
    package static func endKey(_ request: EventID, _ kind: String) -> String {
        "tgpipe:correlation:\(request):ended:\(kind)"
    }

    /// The text that Redis keeps.
    package var text: String {
        JSON.object(["request": .string(request.description), "user": user.map { .integer($0) }]).text
    }

    /// Reads a text from Redis; returns nil for one that names no request.
    package init?(_ text: String) {
        guard let json = try? JSON(parsing: text), let id = json["request"]?.string.flatMap({ EventID($0) }) else {
            return nil
        }
        self.init(id, user: json["user"]?.int)
    }
}
