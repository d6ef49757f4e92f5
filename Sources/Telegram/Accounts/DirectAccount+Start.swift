import JSON
import Logging
import MTProto
import Synchronization

extension DirectAccount {
    /// Identifies the account. If it is known already, the request is made in the background, because Telegram sends updates only after a
    /// call.
    ///
    /// - Throws: a failure that keeps the account from being used; `MTProtoError`, `unreachable`, without a connection after 10 seconds.
    func start() async throws {
        try await waitForConnection()
        guard userID == 0 else {
            return later { [self] in
                do { try await greet() } catch { log.debug("unable to identify the account: \(error)") }
            }
        }
        try await greet()
    }

    /// Waits for the first connection, so that a user who cannot reach Telegram at all is told soon.
    func waitForConnection() async throws {
        let events = try await events()
        let reason = LastReason()
        let isReady = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for try await event in events {
                    if case .ready = event { return true }
                    if case .waiting(let text) = event { reason.set(text) }
                }
                return false
            }
            group.addTask {
                try await Task.sleep(for: DirectAccount.patience)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        guard !isReady else { return }
        try Task.checkCancellation()
        throw MTProtoError(.unreachable, reason.text ?? "Telegram does not answer")
    }

    private static let patience = Duration.seconds(10)

    /// Does the same as `start`, but waits until Telegram can be reached.
    ///
    /// - Throws: a permanent failure.
    func startPatiently() async throws {
        while true {
            do { return try await start() } catch let error as MTProtoError where error.isTransient {
                log.debug("unable to identify the account: \(error); trying again in 1 s")
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func greet() async throws {
        var options = CallOptions()
        // A user who cannot reach Telegram is told soon.
        options.deadline = .seconds(20)
        let users = try await ask("users.getUsers", ["id": .array([.object(["_": "inputUserSelf"])])], options)
        guard let user = users.array?.first, let id = user["id"]?.int else {
            throw AccountError(.unexpectedAnswer, "Telegram's answer does not identify the account")
        }
        try await become(AccountIdentity(userID: id, isBot: user["bot"] == true))
        later { [self] in
            do { try await links.learnAddresses() } catch {
                log.debug("unable to request the addresses of the data centres: \(error)")
            }
        }
    }

    func become(_ identity: AccountIdentity) async throws {
        state.withLock { ($0.identity, $0.isLoggedIn) = (identity, true) }
        try await keeper.update { session in
            (session.userID, session.isBot) = (identity.userID, identity.isBot)
            session.serverKey = settings.serverKey(of: session).fingerprint
            if let address = settings.servers[session.dataCenter]?.first {
                session.addresses[session.dataCenter] = address
            }
        }
    }
}

/// Holds the last reason for a missing connection.
private final class LastReason: Sendable {
    private let reason = Mutex<String?>(nil)

    var text: String? { reason.withLock { $0 } }

    func set(_ text: String) { reason.withLock { $0 = text } }
}
