import Envelope
import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Serves an account of this process to others of the same user, over a Unix socket with JSON lines: docs/session.md.
struct AccountOwner: Sendable {
    /// At once.
    static let mostClients = 64

    let account: AccountClient
    let place: SessionPlace
    /// What `status` tells beside what the account knows.
    let about: JSONObject
    let log: Logger

    /// Serves until `closing`; what is being called then is finished first.
    ///
    /// - Throws: `ClientError`, `configuration` or `localIO`, when there can be no socket.
    func serve(until closing: Promise<Void>, onReady: @escaping @Sendable () -> Void) async throws {
        let path = place.socketPath
        let address = try OwnerSocket.address(path)
        // Whoever has the session's lock is its owner: a socket that is there was left behind.
        unlink(path)
        defer { unlink(path) }
        let server: NIOAsyncChannel<OwnerSocket.Channel, Never>
        do {
            server = try await bootstrap.bind(to: address) { channel in
                channel.eventLoop.makeCompletedFuture { try OwnerSocket.wrap(channel) }
            }
        } catch {
            throw ClientError(.localIO, "unable to listen at \(path): \(error)")
        }
        guard chmod(path, 0o600) == 0 else { throw ClientError(.localIO, "unable to protect \(path)") }
        onReady()
        try await server.executeThenClose { clients in
            await welcome(clients, until: closing)
        }
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: OwnerSocket.group)
            .serverChannelOption(.backlog, value: 64)
            // A script may end its input and wait for the answers.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
    }

    private func welcome(_ clients: NIOAsyncChannelInboundStream<OwnerSocket.Channel>, until closing: Promise<Void>)
        async
    {
        let talking = Gauge()
        await withDiscardingTaskGroup { group in
            group.addTask {
                await first {
                    await withDiscardingTaskGroup { talks in
                        do {
                            for try await client in clients {
                                talks.addTask { await talk(with: client, talking, until: closing) }
                            }
                        } catch {
                            log.error("no more clients are taken: \(error)")
                        }
                        try? await closing.value()
                    }
                } or: {
                    // Those who are being talked with end by themselves.
                    try? await closing.value()
                    while talking.count > 0, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(20)) }
                }
            }
        }
    }

    private func talk(with client: OwnerSocket.Channel, _ talking: Gauge, until closing: Promise<Void>) async {
        let isWelcome = talking.enter(atMost: AccountOwner.mostClients)
        defer { if isWelcome { talking.leave() } }
        do {
            let isOwn = try await OwnerSocket.isOwn(client.channel).get()
            let gone = Promise<Void>()
            client.channel.closeFuture.whenComplete { _ in gone.fulfil(.success(())) }
            try await client.executeThenClose { inbound, outbound in
                guard isOwn, isWelcome else {
                    let error = ClientError(
                        isOwn ? .tooMuch : .configuration,
                        isOwn ? "the session's owner has too many clients already" : "the session is another user's")
                    return try await outbound.write(OwnerAnswer.failure(nil, error))
                }
                await OwnerTalk(self, outbound, gone).run(inbound, until: closing)
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
final class Gauge: Sendable {
    private let value = Mutex(0)

    var count: Int { value.withLock { $0 } }

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
