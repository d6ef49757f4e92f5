import Accounts
import Envelope
import JSON
import System

/// The reading of one chat within some bounds, by all accounts of the pool that can.
struct PoolJob {
    let number: Int
    let key: ChatKey
    /// The user name that the chat must have; nil for any.
    var username: String?
    let bounds: HistoryBounds
    /// The only account that may read; nil for any.
    var member: MemberID?
    let cause: Correlation?
    /// Receives the lines of each answer.
    let write: @Sendable ([UInt8]) async throws -> Void
    /// Called after each answer with messages.
    let onProgress: @Sendable (ReadingProgress) -> Void
    let end = Promise<ChatFacts>()
    /// The state of the reading; nil until the chat is known.
    var reading: ChatReading?
    /// The state of the reading of comments, if the job is for these.
    var comments: CommentsReading?
    /// The number of requests that are asked, or whose messages are being written.
    var inWork = 0
    var facts: ChatFacts?
}

/// Keeps what a pool knows about a chat.
struct PoolChat {
    /// The chat's kind, as far as it is known from its key: an id tells it, a name does not.
    enum Kind { case channel, user, group }

    var kind: Kind
    var facts: ChatFacts?
    /// The highest known id.
    var newest: Int64?
    /// Is true if an account is being asked for what the chat is.
    var isAsked = false
    /// Is true if the full description was asked for.
    var isDescribed = false

    init(_ key: ChatKey) {
        switch key {
        case .name: kind = .channel
        case .id(let id):
            switch PeerID(botAPI: id) {
            case .user: kind = .user
            case .chat: kind = .group
            default: kind = .channel
            }
        }
    }
}

/// One call that an account is to make for a job.
struct Assignment {
    /// The parts of the job that an answer needs.
    struct Context {
        let cause: Correlation?
        let write: @Sendable ([UInt8]) async throws -> Void
        let onProgress: @Sendable (ReadingProgress) -> Void
    }

    enum Work {
        /// Find the chat and learn what it is; by this name, or by its id.
        case find(PeerReferenceText)
        /// Request the full description of a channel or supergroup.
        case describe
        case read(ChatReading.Request)
        case comments(CommentsReading.Request)
    }

    let member: MemberID
    let job: Int
    let key: ChatKey
    let work: Work
    let method: String
    let parameters: JSONObject
    let context: Context
    let facts: ChatFacts?
}

/// A peer as a parameter of a call: an id in the Bot API's form, or `@name`.
typealias PeerReferenceText = JSON
