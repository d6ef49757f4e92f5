import Accounts
import Payloads
import System

/// Names an account of a pool.
package struct MemberID: Sendable, Hashable {
    let number: Int
}

/// Keeps what a pool knows about one of its accounts.
struct PoolMember {
    /// Whether the account can read a chat.
    enum Access: Equatable {
        /// The account is being asked.
        case asking
        case granted
        /// The account cannot read the chat, for this reason, and is not asked again.
        case refused(String)
    }

    let id: MemberID
    /// The name of the account's session.
    let name: String
    let account: any Account
    /// The account as events name it.
    let receiver: EventReceiver
    /// The user names by which the account searches for chats whose ids it does not know.
    var names: [ChatKey: String] = [:]
    var access: [ChatKey: Access] = [:]
    /// The methods that the account must not call before these times.
    var waits: [String: ContinuousClock.Instant] = [:]
    /// The time before which the account makes no call: it is paced, or has failed.
    var nextCall: ContinuousClock.Instant?
    var backoff = Backoff(first: .milliseconds(500), longest: .seconds(60))
    var isCalling = false
    /// The reason why the account has left the pool.
    var departure: String?
    /// The export that the account's calls belong to, if there is one.
    let takeout: Takeout?

    /// Telegram's clock and ours differ; a call this much later is not too early.
    static let margin = Duration.milliseconds(60)

    /// Returns the time before which a method must not be called; nil if it may be called now.
    func earliest(_ method: String, at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let times = [nextCall, waits[method]].compactMap { $0 }.filter { $0 > now }
        return times.max()
    }
}

/// Identifies a chat as a command does: by its id, or by a name.
enum ChatKey: Hashable {
    case id(Int64)
    /// A user name in lower case, without `@`.
    case name(String)
}
