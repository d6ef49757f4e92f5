import Accounts
import JSON
import Logging
import MTProto
import Options
import Payloads
import Stage
import System
import TL

/// Finds out which user an admin means with an `@name`.
///
/// User names change hands. Telegram tells an account who has a name now; a bot cannot ask, and knows only who was seen
/// with the name within the last day.
struct NameLookup: Sendable {
    private static let deadline = Duration.seconds(10)

    let runtime: Runtime
    /// The session through which the updates of an account arrived.
    let account: AccountOptions
    let rules: AccessRules

    struct Meant: Sendable {
        let id: Int64
        let name: Name

        /// Tells how the subject of a rule was named.
        enum Name: Sendable {
            case chat
            case id
            /// Somebody who was seen with this name.
            case seen(String)
            /// The one who has this name now, with the name that Telegram shows.
            case owner(String, shown: String)
        }
    }

    /// Returns the user or channel that has a name; nil if nobody has it, or was seen with it.
    ///
    /// - Parameter receiver: the account that received the command; nil if a bot did.
    func owner(of name: String, through receiver: EventReceiver?) async throws -> Meant? {
        if let receiver, account.name != nil {
            do {
                return try await resolved(name, by: receiver)
            } catch let error as any ReportableError {
                runtime.log.warning(
                    "unable to ask Telegram who @\(name) is, so the last day decides: \(error.message)")
            }
        }
        guard let id = try await rules.userID(named: name) else { return nil }
        return Meant(id: id, name: .seen(name))
    }

    private func resolved(_ name: String, by receiver: EventReceiver) async throws -> Meant? {
        let answer: JSON? = try await account.withAccount(runtime) { account in
            guard account.userID == receiver.id else {
                throw AccountError(.configuration, "the session is not that of the account which received the command")
            }
            var options = CallOptions()
            options.deadline = NameLookup.deadline
            do {
                return try await account.call("contacts.resolveUsername", ["username": .string(name)], options).json()
            } catch let error as TelegramRPCError
                where ["USERNAME_NOT_OCCUPIED", "USERNAME_INVALID"].contains(error.name)
            {
                return nil
            }
        }
        guard let answer, let peer = answer["peer"].flatMap({ PeerID(tl: $0) }) else { return nil }
        let found = (answer["users"]?.array ?? []) + (answer["chats"]?.array ?? [])
        let described = found.first
        let names = [described?["first_name"], described?["last_name"], described?["title"]].compactMap { $0?.string }
        return Meant(id: peer.botAPI, name: .owner(name, shown: names.joined(separator: " ")))
    }
}
