package import Accounts
import JSON
import Payloads

/// The choices of a pool.
package struct PoolSettings: Sendable {
    /// The shortest time between two calls of an account; nil for none.
    package var pace: Duration?
    /// Whether the full description of each channel is requested, which tells its linked chat and the group that it was.
    package var describesChats = true
    /// Whether the messages in Telegram's own form are attached to the events.
    package var attachesTL = false
    /// Is true if the progress names the posts that have comments.
    package var findsComments = false
    /// The kinds of media for which commands are written: `photo`, `video`, `document`, …
    package var media: [String] = []
    /// Called when Telegram demands a wait of an account, with the name of its session.
    package var onWait: (@Sendable (_ session: String, FloodWait) -> Void)?

    package init() {}
}

/// Holds the parts of an answer with messages that are still to be written.
struct PageResult {
    let taken: ChatReading.Taken
    let total: Int64?
    let newest: Int64?
    let chat: JSONObject
    let progress: ReadingProgress
}

/// Tells how far the reading of a chat is.
package struct ReadingProgress: Sendable {
    package let chatID: Int64
    /// The chat's title, or the name of a user.
    package let title: String
    /// The number of messages of the last answer.
    package let added: Int64
    /// The number of messages that were read for this command.
    package let messages: Int64
    /// The number of messages in the whole chat, if Telegram told it.
    package let total: Int64?
    /// The number of ids that the command asks for, and of those that are not read yet; nil while it is unknown.
    package let idsWanted: Int64?
    package let idsLeft: Int64?
    package let newest: Int64?
    /// The posts of the last answer that have comments, if they were to be found.
    package var commented: [Int32] = []
}

/// The resolution of user names.
enum Names {
    static let method = "contacts.resolveUsername"
}

extension ChatKey: CustomStringConvertible {
    init(_ chat: ChatID) {
        switch chat {
        case .id(let id): self = .id(id)
        case .name(let name): self = .name((name.hasPrefix("@") ? String(name.dropFirst()) : name).lowercased())
        }
    }

    var description: String {
        switch self {
        case .id(let id): "the chat \(id)"
        case .name(let name): "@\(name)"
        }
    }
}
