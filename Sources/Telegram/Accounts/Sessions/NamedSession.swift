package import JSON
import System
import Glibc
import Logging
package import Options
package import Stage
import TL

/// A session by name: locates its files, and runs code with its account.
package struct NamedSession: Sendable {
    package let name: String
    package let store: SessionStore
    let log: Logger
    private let floods: any FloodLedger

    /// The time for which to wait while another process has the session and does not share it (yet).
    private static let busyTimeout = Duration.seconds(3)
    /// The time in which the next owner is expected after one was killed. A tool that took the session in its place would keep it
    /// from the owner and from all other tools, for as long as it runs.
    private static let successionTimeout = Duration.seconds(10)

    /// - Throws: `AccountError`, `invalidName`; `ToolError`.
    package init(_ name: String, _ runtime: Runtime) throws {
        store = SessionStore(folder: try runtime.stateFolder("sessions"), seal: try SessionSeal.configured())
        _ = try store.path(name)
        (self.name, log, floods) = (name, runtime.log, runtime.floodLedger())
    }

    init(_ name: String, _ store: SessionStore, floods: any FloodLedger, log: Logger) {
        (self.name, self.store, self.floods, self.log) = (name, store, floods, log)
    }

    var lockPath: String { "\(store.folder)/\(name).lock" }
    var socketPath: String { "\(store.folder)/\(name).sock" }
    var peersPath: String { "\(store.folder)/\(name).peers" }
    var sentPath: String { "\(store.folder)/\(name).sent" }

    /// The process that uses the session now; nil if there is none, or it is unknown.
    package var user: Int32? { SessionLock.holder(lockPath) }

    /// Is true if the process that uses the session shares it.
    package var isShared: Bool { SocketListener.answers(socketPath) }

    /// Is true if an owner was killed, and none has come after it: an orderly end removes the socket.
    private var hasLostOwner: Bool { access(socketPath, F_OK) == 0 && !isShared }

    /// Runs `body` with the account: through the process that owns the session, or over connections of this process.
    ///
    /// - Throws: as `AccountOptions.withAccount`.
    package func withAccount<Value: Sendable>(
        _ options: ConnectionOptions, _ body: @escaping @Sendable (any Account) async throws -> Value
    ) async throws -> Value {
        // A faulty session is reported at once, without waiting for the process that uses it.
        _ = try store.load(name)
        let start = ContinuousClock.now
        var end = start + NamedSession.busyTimeout
        var saysThatItWaits = true
        while true {
            if isShared { return try await withOwner(options, body) }
            if hasLostOwner, ContinuousClock.now < start + NamedSession.successionTimeout {
                if saysThatItWaits {
                    log.notice("the process that shared the session '\(name)' was killed: waiting for the next one")
                    saysThatItWaits = false
                }
                try await Task.sleep(for: .milliseconds(50))
                end = ContinuousClock.now + NamedSession.busyTimeout
                continue
            }
            switch try SessionLock.attempt(lockPath) {
            case .taken(let lock):
                // Nobody waits for the owner any more. The next one makes a new socket, with the lock.
                unlink(socketPath)
                let client = try client(try options.settings())
                let value = try await client.whileRunning { try await body(client) }
                _ = consume lock
                return value
            case .busy(let pid):
                guard ContinuousClock.now < end else { throw busy(pid) }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private func withOwner<Value: Sendable>(
        _ options: ConnectionOptions, _ body: @escaping @Sendable (any Account) async throws -> Value
    ) async throws -> Value {
        let isGiven = try options.layer != nil || options.schema != nil
        let account = RemoteAccount(socketPath, schema: isGiven ? try options.readSchema() : nil)
        return try await running(account.run) {
            try await account.start()
            return try await body(account)
        }
    }

    /// Returns the owner's `status`.
    ///
    /// - Throws: `AccountError`, `timedOut` among others, if there is no owner.
    package func status() async throws -> JSON {
        let account = RemoteAccount(socketPath)
        return try await running(account.run) { try await account.status() }
    }

    /// Owns the account, and serves it to other processes until the shutdown.
    ///
    /// - Throws: `AccountError`, `busy`, if another process uses the session; the reason if the account can no longer
    ///   be used.
    package func own(_ options: ConnectionOptions, until shutdown: Shutdown) async throws {
        _ = try store.load(name)
        guard case .taken(let lock) = try SessionLock.attempt(lockPath) else { throw busy(user) }
        let client = try client(try options.settings())
        let owner = AccountOwner(
            account: client, session: self, schemaPath: options.schema.map { absolutePath($0) }, log: log)
        try await running(client.run) { try await serve(owner, until: shutdown) }
        _ = consume lock
    }

    private func serve(_ owner: AccountOwner, until shutdown: Shutdown) async throws {
        let (closing, ending) = (Promise<Void>(), Promise<Void>())
        let events = try await owner.account.events()
        // When the account ends, the calls in flight are still answered.
        @Sendable func endingWithAccount(_ body: () async throws -> Void) async {
            do { try await body() } catch  where !Task.isCancelled {
                ending.fulfil(.failure(error))
                closing.fulfil(.success(()))
            } catch {}
        }
        try await running({
            await withDiscardingTaskGroup { group in
                group.addTask { await endingWithAccount { try await owner.account.startPatiently() } }
                group.addTask { await endingWithAccount { for try await event in events { owner.logEvent(event) } } }
                group.addTask {
                    await shutdown.wait()
                    closing.fulfil(.success(()))
                }
            }
        }) {
            try await owner.serve(until: closing) {
                ServiceManager.reportReady()
                owner.log.notice("the session '\(name)' is shared at \(socketPath)")
            }
        }
        try ending.result?.get()
    }

    /// Removes the session and its other files, unless another process uses it.
    ///
    /// - Throws: `AccountError`: `notFound`, `sessionIO`, `busy`.
    package func remove() async throws {
        guard store.names().contains(name) else {
            throw AccountError(.notFound, "there is no session named '\(name)'")
        }
        let end = ContinuousClock.now + NamedSession.busyTimeout
        while true {
            switch try SessionLock.attempt(lockPath) {
            case .taken(let lock):
                try store.remove(name)
                removeFiles(in: "\(store.folder)/\(name).uploads")
                for path in [socketPath, lockPath] + NamedSession.databaseFiles([peersPath, sentPath]) { unlink(path) }
                _ = consume lock
                return
            case .busy(let pid):
                // An owner that has just logged out needs a moment to end.
                guard ContinuousClock.now < end else { throw busy(pid) }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private static func databaseFiles(_ paths: [String]) -> [String] {
        paths.flatMap { [$0, "\($0)-wal", "\($0)-shm"] }
    }

    /// Makes the account's client. The caller must hold the lock: without it another process may change the session.
    private func client(_ settings: AccountSettings) throws -> DirectAccount {
        let session = try store.load(name)
        try settings.check(session, name: name)
        let keeper = SessionKeeper(session, in: store, as: name)
        let peers = try PeerStore(path: peersPath, account: session.userID, log: log)
        let sent = try SentMessages(path: sentPath, log: log)
        return DirectAccount(settings, keeper, floods: floods, peers: peers, sent: sent, log: log)
    }

    func busy(_ pid: pid_t?) -> AccountError {
        let holder = pid.map { "process \($0)" } ?? "another process"
        let advice =
            isShared
            ? "which shares it with all tools"
            : "which does not share it: wait until it ends, or stop it and share the session with tg-session run \(name)"
        return AccountError(.busy, "the session '\(name)' is in use by \(holder), \(advice)")
    }
}

/// Runs `support` while `body` runs, and cancels it afterwards.
func running<Value: Sendable>(
    _ support: @escaping @Sendable () async -> Void, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask {
            await support()
            return nil
        }
        group.addTask { try await body() }
        defer { group.cancelAll() }
        while let value = try await group.next() {
            if let value { return value }
        }
        throw CancellationError()
    }
}

extension DirectAccount {
    /// Runs `body` while the connections are open.
    func whileRunning<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await running(run) { [self] in
            try await start()
            return try await body()
        }
    }
}
