package import Accounts
import JSON
import MTProto
import System
import TL

/// A session for the export of an account's data, in which Telegram allows more calls.
///
/// Source: https://core.telegram.org/api/takeout
package struct Takeout: Sendable {
    /// The method that every call is wrapped in.
    static let method = "invokeWithTakeout"

    let id: JSON

    /// Begins an export.
    ///
    /// - Throws: `ToolError` (75) if Telegram wants the export to be confirmed or to wait.
    package init(_ account: any Account, name: String) async throws {
        do {
            let answer = try await account.call(
                "account.initTakeoutSession",
                [
                    "message_users": true, "message_chats": true, "message_megagroups": true, "message_channels": true,
                ], CallOptions()
            ).json()
            guard let id = answer["id"] else {
                throw AccountError(.unexpectedAnswer, "Telegram's answer does not name the export")
            }
            self.id = id
        } catch let error as TelegramRPCError where error.name == "TAKEOUT_INIT_DELAY" {
            throw ToolError(
                .tryAgain,
                "\(name): Telegram allows this export only in \(error.wait?.spanText ?? "a while"): allow it in Telegram's message to the account, or try again later, or read without --takeout"
            )
        }
    }

    /// Ends the export.
    package func end(_ account: any Account) async throws {
        let (method, parameters) = wrapped("account.finishTakeoutSession", ["success": true])
        _ = try await account.call(method, parameters, CallOptions())
    }

    /// Returns a call within the export.
    func wrapped(_ method: String, _ parameters: JSONObject) -> (method: String, parameters: JSONObject) {
        let query = JSONObject([.init(key: "_", value: .string(method))] + parameters.members)
        return (Takeout.method, ["takeout_id": id, "query": .object(query)])
    }
}
