import JSON
import System
import Glibc
import Logging
import NIOCore
import Synchronization

/// Serves an account of this process to other processes of the same user, over a Unix socket with JSON lines
/// (docs/session.md).
struct AccountOwner: Sendable {
    /// The largest number of concurrent clients.
    static let maxClients = 64

    let account: DirectAccount
    let session: NamedSession
    /// The schema that the account uses, if it was read from a file.
    let schemaPath: String?
    let log: Logger

    /// Serves clients until `closing` is fulfilled, and finishes the calls in flight.
    ///
    /// - Throws: `AccountError`, `configuration` or `localIO`, if the socket cannot be created.
    func serve(until closing: Promise<Void>, onReady: @escaping @Sendable () -> Void) async throws {
        let listener = try SocketListener(session.socketPath)
        let (clients, arriving) = AsyncStream.makeStream(of: Int32.self)
        BlockingThread.start {
            while let client = listener.next() { arriving.yield(client) }
            arriving.finish()
        }
        onReady()
        let connections = ConnectionCounter()
        await withDiscardingTaskGroup { group in
            group.addTask {
                // `value` throws on cancellation; the listener must stop then too.
                try? await closing.value()
                listener.stop()
            }
            for await client in clients {
                // Counted here, in the order of arrival: the tasks may begin in another.
                let isAdmitted = connections.enter(limit: AccountOwner.maxClients)
                group.addTask {
                    defer { if isAdmitted { connections.leave() } }
                    await serve(client, isAdmitted: isAdmitted, until: closing)
                }
            }
        }
    }

    private func serve(_ client: Int32, isAdmitted: Bool, until closing: Promise<Void>) async {
        do {
            let channel = try await OwnerSocket.channel(client)
            let disconnected = Promise<Void>()
            channel.channel.closeFuture.whenComplete { _ in disconnected.fulfil(.success(())) }
            try await channel.executeThenClose { inbound, outbound in
                guard isAdmitted else {
                    let error = AccountError(
                        .tooMuch,
                        "the session's owner has \(AccountOwner.maxClients) clients already: try again when one has ended"
                    )
                    return try await outbound.write(OwnerResponse.failure(nil, error))
                }
                await OwnerConnection(self, outbound, disconnected).run(inbound, until: closing)
            }
        } catch {
            log.debug("a client of the session has disconnected: \(error)")
        }
    }

    /// Logs a change of the connection to Telegram.
    func logEvent(_ event: AccountEvent) {
        switch event {
        case .ready: log.notice("connected to Telegram", metadata: ["user": .stringConvertible(account.userID)])
        case .waiting(let reason): log.warning("no connection to Telegram: \(reason)")
        case .gap, .updates: break
        }
    }

    /// The answer to `status`: the owner's process, and its account.
    var status: OwnerStatus {
        let stored = account.keeper.session
        return OwnerStatus(
            name: session.name, pid: Int64(getpid()), userID: account.userID, isBot: account.isBot,
            dataCenter: Int64(stored.dataCenter), isTest: stored.isTest, layer: Int64(account.settings.layer),
            version: tgpipeVersion, schemaPath: schemaPath)
    }
}

/// Counts the connected clients.
final class ConnectionCounter: Sendable {
    private let value = Mutex(0)

    func enter(limit: Int) -> Bool {
        value.withLock { value in
            guard value < limit else { return false }
            value += 1
            return true
        }
    }

    func leave() { value.withLock { $0 -= 1 } }
}

/// Runs both closures until one of them returns, and cancels the other.
func first(_ one: @escaping @Sendable () async -> Void, or other: @escaping @Sendable () async -> Void) async {
    await withTaskGroup(of: Void.self) { group in
        group.addTask { await one() }
        group.addTask { await other() }
        await group.next()
        group.cancelAll()
    }
}
