import Envelope
import TL

/// Whom an account has come across.
protocol AccountPeers: Sendable {
    /// Keeps the users and chats of a result or an update (JSON text).
    func note(_ text: [UInt8]) async

    /// Puts objects in the place of short forms.
    ///
    /// - Parameter call: asks Telegram about those who are not known.
    func expanding(
        _ parameters: JSONObject, of method: String, for account: AccountIdentity, in schema: TLSchema,
        call: @escaping @Sendable (_ method: String, _ parameters: JSONObject) async throws -> [UInt8]
    ) async throws -> JSONObject

    func known(botAPI id: Int64) async throws -> JSON?
}

/// Who an account is.
struct AccountIdentity: Sendable, Equatable {
    let userID: Int64
    let isBot: Bool
}
