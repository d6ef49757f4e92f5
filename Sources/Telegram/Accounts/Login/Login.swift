import Glibc
import JSON
import MTProto

/// Logs a session in.
package struct Login: Sendable {
    let client: DirectAccount
    let apiID: JSON
    let apiHash: JSON

    /// The account that was logged in.
    package struct Owner: Sendable, Equatable {
        package let userID: Int64
        package let isBot: Bool
        package let name: String
    }

    /// Connects, logs in by `body`, and saves the session.
    ///
    /// - Parameters:
    ///   - isTest: Whether to use Telegram's test servers.
    ///   - replaces: Whether to replace an existing session of that name.
    /// - Throws: `AccountError`: `exists`, `busy`, `configuration` without an api_hash, `loginRefused`; `MTProtoError`.
    package static func run(
        at place: NamedSession, _ settings: AccountSettings, isTest: Bool, replaces: Bool,
        _ body: @escaping @Sendable (Login) async throws -> Owner
    ) async throws -> Owner {
        guard let apiHash = settings.apiHash else {
            throw AccountError(
                .configuration,
                "the api_hash is missing: set TG_API_HASH in the environment, or give a file with --api-hash-file")
        }
        guard replaces || !place.store.names().contains(place.name) else {
            throw AccountError(
                .exists, "a session named '\(place.name)' exists already: log it out, or give --replace")
        }
        try place.store.prepare()
        guard case .taken(let lock) = try SessionLock.attempt(place.lockPath) else { throw place.busy(place.user) }
        let keeper = SessionKeeper(
            AccountSession(unauthorizedAt: settings.firstDataCenter, isTest: isTest), in: place.store, as: nil)
        let client = DirectAccount(settings, keeper, floods: LocalFloodLedger(), log: place.log)
        let login = Login(
            client: client, apiID: .integer(Int64(settings.apiID)), apiHash: .string(apiHash))
        // A login that failed leaves nothing behind.
        defer { if !place.store.names().contains(place.name) { unlink(place.lockPath) } }
        let owner = try await running(client.run) {
            try await client.waitForConnection()
            let owner = try await body(login)
            try await keeper.waitForKey(of: keeper.session.dataCenter)
            try await keeper.keep(as: place.name, isNew: !replaces)
            return owner
        }
        _ = consume lock
        return owner
    }

    /// Calls a method of the login.
    ///
    /// - Throws: `AccountError` with an explanation for the login's known refusals; else the error of the call.
    func ask(_ method: String, _ parameters: JSONObject) async throws -> JSON {
        do { return try await client.ask(method, parameters) } catch let error as TelegramRPCError {
            throw LoginRefusal.explained(error)
        }
    }

    /// Reads the logged-in account from an `auth.authorization`.
    func owner(_ authorization: JSON) async throws -> Owner {
        guard authorization["_"]?.string == "auth.authorization", let user = authorization["user"],
            let id = user["id"]?.int
        else {
            let isUnknown = authorization["_"]?.string == "auth.authorizationSignUpRequired"
            throw isUnknown
                ? LoginRefusal.explained(TelegramRPCError(code: 400, text: "PHONE_NUMBER_UNOCCUPIED"))
                : AccountError(.unexpectedAnswer, "Telegram's answer to the login names no account")
        }
        let isBot = user["bot"] == true
        try await client.become(AccountIdentity(userID: id, isBot: isBot))
        let names = [user["first_name"]?.string, user["last_name"]?.string].compactMap { $0 }
        return Owner(userID: id, isBot: isBot, name: names.joined(separator: " "))
    }

    /// Logs a bot in.
    ///
    /// - Parameter token: the bot's token; secret.
    package func asBot(token: String) async throws -> Owner {
        try await owner(
            ask(
                "auth.importBotAuthorization",
                ["flags": 0, "api_id": apiID, "api_hash": apiHash, "bot_auth_token": .string(token)]))
    }
}
