package import JSON
import MTProto
import Synchronization
package import TL

extension DirectAccount {
    package func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> TLValue {
        let expanded = try await expanding(parameters, of: method, options)
        let request = try schema.request(method, .object(expanded))
        let sending = await sent?.begin(method, expanded, own: userID)
        let result: TLValue
        do {
            let answer = try await restoringParts(parameters) { try await self.answer(to: request, options) }
            result = try decoded(answer, as: request.result)
        } catch {
            await sent?.end(sending, failure: error)
            throw error
        }
        // Before the listeners get the message.
        await sent?.end(sending, result)
        await peers?.note(result)
        if DirectAccount.isUpdates(result) { hub.add(.updates(result)) }
        if let updates = try AffectedMessages.updates(method, expanded, result) { hub.add(.updates(updates)) }
        if method == "auth.logOut" { await end(AccountError(.notLoggedIn, "the session was logged out")) }
        return result
    }

    /// Calls a method for the client itself, and returns the result as JSON.
    func ask(_ method: String, _ parameters: JSONObject = [:], _ options: CallOptions = CallOptions()) async throws
        -> JSON
    {
        try await call(method, parameters, options).json()
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

    /// Returns whether a result consists of updates for the listeners: Telegram does not send them again. Results of methods in `updates.` are for
    /// the caller alone: as events, they would cause further requests.
    private static func isUpdates(_ result: TLValue) -> Bool {
        guard let constructor = result.constructor else { return false }
        return constructor.hasPrefix("update") && !constructor.utf8.contains(UInt8(ascii: "."))
    }

    /// Sends a request to the data centre that it requires, again after transient failures, and returns the TL bytes of the answer.
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
                // The reason why the account has ended says more than the end of a connection.
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

    /// Prepares another attempt: waits, or changes the data centre.
    ///
    /// - Throws: the error, when another attempt is of no use.
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
        guard error.isTransient, !error.name.hasPrefix("AUTH_") else { throw error }
        try await attempt.pause(otherwise: error)
    }

    /// The errors after which Telegram refuses every call of the session.
    private static let endings: Set<String> = [
        "AUTH_KEY_UNREGISTERED", "AUTH_KEY_INVALID", "AUTH_KEY_DUPLICATED", "SESSION_REVOKED", "SESSION_EXPIRED",
        "USER_DEACTIVATED", "USER_DEACTIVATED_BAN",
    ]
}
