import JSON
import Logging
import MTProto
import Synchronization

extension DirectAccount {
    /// Learns who the account is. When that is known already, it is asked again on the side: Telegram sends updates to those only
    /// who have called something.
    ///
    /// - Throws: what keeps the account from being used; `MTProtoError`, `unreachable`, when there is no connection within some seconds.
    func start() async throws {
        try await waitForConnection()
        guard userID == 0 else {
            return later { [self] in
                do { try await greet() } catch { log.debug("unable to ask who the account is: \(error)") }
            }
        }
        try await greet()
    }

    /// Later on connections come and go; but who cannot reach Telegram at all should soon know why.
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

    /// As `start`, for as long as it takes to reach Telegram.
    ///
    /// - Throws: what no patience helps with.
    func startPatiently() async throws {
        while true {
            do { return try await start() } catch let error as MTProtoError where error.isTemporary {
                log.debug("unable to ask who the account is: \(error)")
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func greet() async throws {
        var options = CallOptions()
        // Who cannot reach Telegram should soon know.
        options.deadline = .seconds(20)
        let users = try await ask("users.getUsers", ["id": .array([.object(["_": "inputUserSelf"])])], options)
        guard let user = users.array?.first, let id = user["id"]?.int else {
            throw AccountError(.unexpectedAnswer, "Telegram does not say who the account is")
        }
        try await become(AccountIdentity(userID: id, isBot: user["bot"] == true))
        later { [self] in
            do { try await links.learnAddresses() } catch {
                log.debug("unable to learn the data centres' addresses: \(error)")
            }
        }
    }

    func become(_ identity: AccountIdentity) async throws {
        state.withLock { ($0.identity, $0.isLoggedIn) = (identity, true) }
        try await keeper.update { ($0.userID, $0.isBot) = (identity.userID, identity.isBot) }
    }
}

/// Why there is no connection.
private final class LastReason: Sendable {
    private let reason = Mutex<String?>(nil)

    var text: String? { reason.withLock { $0 } }

    func set(_ text: String) { reason.withLock { $0 = text } }
}
