package import JSON
import MTProto
import Synchronization
import TL

extension DirectAccount {
    package func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> [UInt8] {
        let expanded = try await expanding(parameters, of: method, options)
        let request = try schema.request(method, .object(expanded))
        let answer = try await restoringParts(parameters) { try await self.answer(to: request, options) }
        let text = try json(answer, as: request.result)
        await peers?.note(text)
        if DirectAccount.isUpdates(text) { hub.add(.updates(text)) }
        if let updates = AffectedMessages.updates(method, expanded, text) { hub.add(.updates(updates)) }
        if method == "auth.logOut" { await end(AccountError(.notLoggedIn, "the session was logged out")) }
        return text
    }

    /// Calls a method for the client itself, and returns the result as JSON.
    func ask(_ method: String, _ parameters: JSONObject = [:], _ options: CallOptions = CallOptions()) async throws
        -> JSON
    {
        try JSON(parsing: await call(method, parameters, options))
    }

    private func expanding(
        _ parameters: JSONObject, of method: String, _ options: CallOptions
    ) async throws -> JSONObject {
        guard let peers, let identity = state.withLock({ $0.identity }) else { return parameters }
        let source = PeerSource(account: identity, timeout: options.deadline + options.longestWait) {
            [self] method, parameters in
            try await call(method, parameters, options)
        }
        return try await peers.expanding(parameters, of: method, in: schema, source)
    }

    /// Calls that change something answer with updates, which nobody is told otherwise. What calls of `updates.` answer with is for those
    /// who asked: told to everybody, it would make them ask again.
    private static func isUpdates(_ text: [UInt8]) -> Bool {
        text.starts(with: #"{"_":"update"#.utf8)
            && !text.dropFirst(6).prefix { $0 != UInt8(ascii: "\"") }.contains(UInt8(ascii: "."))
    }

    /// Calls where it has to be called, and again when that may help.
    func answer(to request: TLRequest, _ options: CallOptions) async throws -> [UInt8] {
        var attempt = CallAttempt(request.method, options)
        while true {
            try throwIfEnded()
            if let wait = await knownWait(request.method) {
                try await attempt.keep(to: wait, otherwise: attempt.refusal(wait))
            }
            do {
                return try await answer(to: request, &attempt)
            } catch let error as TelegramRPCError {
                try await recover(from: error, &attempt)
            } catch let error as MTProtoError {
                // The account's end says more than that of a connection.
                try throwIfEnded()
                throw error
            }
        }
    }

    private func answer(to request: TLRequest, _ attempt: inout CallAttempt) async throws -> [UInt8] {
        let connection =
            if let place = attempt.dataCenter {
                try await links.connection(to: place)
            } else {
                try await links.main()
            }
        return try await connection.call(request.bytes, within: attempt.timeLeft)
    }

    private func knownWait(_ method: String) async -> FloodWait? {
        let account = userID
        return account == 0 ? nil : await floods.wait(account: account, method: method)
    }

    /// Makes another attempt sensible.
    ///
    /// - Throws: the error, when nothing does.
    private func recover(from error: TelegramRPCError, _ attempt: inout CallAttempt) async throws {
        if let remaining = error.wait {
            let wait = FloodWait(method: attempt.method, remaining: remaining, reason: error.text)
            if error.name.hasPrefix("FLOOD"), userID != 0 { await floods.note(account: userID, wait) }
            return try await attempt.keep(to: wait, otherwise: error)
        }
        if let place = error.dataCenter {
            try attempt.move(to: place, because: error)
            guard ["USER", "PHONE", "NETWORK"].contains(where: { error.name == "\($0)_MIGRATE" }) else { return }
            attempt.dataCenter = nil
            return try await links.moveHome(to: place, isLoggedIn: isLoggedIn)
        }
        if attempt.dataCenter == nil, isLoggedIn, DirectAccount.endings.contains(error.name) {
            await end(error)
            throw error
        }
        if let place = attempt.dataCenter, error.name == "AUTH_KEY_UNREGISTERED" {
            try attempt.move(to: place, because: error)
            return try await links.authorizeAgain(place)
        }
        guard error.isTemporary, !error.name.hasPrefix("AUTH_") else { throw error }
        try await attempt.pause(otherwise: error)
    }

    /// After these, Telegram answers nothing to the session any more.
    private static let endings: Set<String> = [
        "AUTH_KEY_UNREGISTERED", "AUTH_KEY_INVALID", "AUTH_KEY_DUPLICATED", "SESSION_REVOKED", "SESSION_EXPIRED",
        "USER_DEACTIVATED", "USER_DEACTIVATED_BAN",
    ]
}
