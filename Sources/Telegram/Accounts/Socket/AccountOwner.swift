import JSON
import System
import Glibc
import Logging
import NIOCore
import Synchronization

/// Serves an account of this process to others of the same user, over a Unix socket with JSON lines: docs/session.md.
struct AccountOwner: Sendable {
    /// At once.
    static let mostClients = 64

    let account: DirectAccount
    let place: NamedSession
    /// What `status` tells beside what the account knows.
    let about: JSONObject
    let log: Logger

    /// Serves until `closing`; what is being called then is finished first.
    ///
    /// - Throws: `AccountError`, `configuration` or `localIO`, when there can be no socket.
    func serve(until closing: Promise<Void>, onReady: @escaping @Sendable () -> Void) async throws {
        let listener = try SocketListener(place.socketPath)
        let (clients, arriving) = AsyncStream.makeStream(of: Int32.self)
        BlockingThread.start {
            while let client = listener.next() { arriving.yield(client) }
            arriving.finish()
        }
        onReady()
        let talking = ConnectionCounter()
        await withDiscardingTaskGroup { group in
            group.addTask {
                // Also when the task is cancelled.
                try? await closing.value()
                listener.stop()
            }
            for await client in clients {
                group.addTask { await talk(with: client, talking, until: closing) }
            }
        }
    }

    private func talk(with client: Int32, _ talking: ConnectionCounter, until closing: Promise<Void>) async {
        let isWelcome = talking.enter(atMost: AccountOwner.mostClients)
        defer { if isWelcome { talking.leave() } }
        do {
            let channel = try await OwnerSocket.channel(client)
            let gone = Promise<Void>()
            channel.channel.closeFuture.whenComplete { _ in gone.fulfil(.success(())) }
            try await channel.executeThenClose { inbound, outbound in
                guard isWelcome else {
                    let error = AccountError(.tooMuch, "the session's owner has too many clients already")
                    return try await outbound.write(OwnerResponse.failure(nil, error))
                }
                await OwnerConnection(self, outbound, gone).run(inbound, until: closing)
            }
        } catch {
            log.debug("a client of the session is gone: \(error)")
        }
    }

    /// What happens to the account, for the log.
    func tell(_ event: AccountEvent) {
        switch event {
        case .ready: log.notice("connected to Telegram", metadata: ["user": "\(account.userID)"])
        case .waiting(let reason): log.warning("no connection to Telegram: \(reason)")
        case .gap, .updates: break
        }
    }

    /// What the owner says of itself and the account.
    var status: JSON {
        let session = account.keeper.session
        var status: JSONObject = [
            "name": .string(place.name), "pid": .integer(Int64(getpid())), "user_id": .integer(account.userID),
            "bot": .bool(account.isBot), "dc": .integer(Int64(session.dataCenter)), "test": .bool(session.isTest),
            "layer": .integer(Int64(account.settings.layer)),
        ]
        for member in about.members { status[member.key] = member.value }
        return .object(status)
    }
}

/// How many there are.
final class ConnectionCounter: Sendable {
    private let value = Mutex(0)

    func enter(atMost most: Int) -> Bool {
        value.withLock { value in
            guard value < most else { return false }
            value += 1
            return true
        }
    }

    func leave() { value.withLock { $0 -= 1 } }
}

/// Runs both until one of them ends, and then ends the other.
func first(_ one: @escaping @Sendable () async -> Void, or other: @escaping @Sendable () async -> Void) async {
    await withTaskGroup(of: Void.self) { group in
        group.addTask { await one() }
        group.addTask { await other() }
        await group.next()
        group.cancelAll()
    }
}
