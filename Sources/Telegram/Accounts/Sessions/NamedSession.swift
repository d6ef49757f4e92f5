package import JSON
import System
package import Glibc
import Logging
package import Options
package import Stage
import TL

/// A session by its name: where its files are, and how it is used.
package struct NamedSession: Sendable {
    package let name: String
    package let store: SessionStore
    let log: Logger
    private let floods: any FloodLedger

    /// How long a process is waited for that has the session and does not share it (yet).
    private static let patience = Duration.seconds(3)

    /// - Throws: `AccountError`, `invalidName`; `ToolError`.
    package init(_ name: String, _ runtime: Runtime) throws {
        store = SessionStore(folder: try runtime.stateFolder("sessions"))
        _ = try store.path(name)
        (self.name, log, floods) = (name, runtime.log, runtime.floodLedger())
    }

    init(_ name: String, _ store: SessionStore, floods: any FloodLedger, log: Logger) {
        (self.name, self.store, self.floods, self.log) = (name, store, floods, log)
    }

    var lockPath: String { "\(store.folder)/\(name).lock" }
    var socketPath: String { "\(store.folder)/\(name).sock" }
    var peersPath: String { "\(store.folder)/\(name).peers" }

    /// The process that uses the session now; nil when none does, or it cannot be told.
    package var user: pid_t? { SessionLock.holder(lockPath) }

    /// Whether it shares the session with others.
    package var isShared: Bool { SocketListener.answers(socketPath) }

    /// Runs `body` with the account: through the process that owns the session, or over connections of this one.
    ///
    /// - Throws: as `AccountOptions.withAccount`.
    package func withAccount<Value: Sendable>(
        _ options: ConnectionOptions, _ body: @escaping @Sendable (any Account) async throws -> Value
    ) async throws -> Value {
        // What is wrong with it is said without waiting for whoever uses it.
        _ = try store.load(name)
        let end = ContinuousClock.now + NamedSession.patience
        while true {
            if isShared { return try await withOwner(options, body) }
            switch try SessionLock.attempt(lockPath) {
            case .taken(let lock):
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
        let schema = try await ownersSchema(options)
        let account = RemoteAccount(socketPath, schema: schema)
        return try await running(account.run) {
            try await account.start()
            return try await body(account)
        }
    }

    /// What the owner was started with, unless something else is asked for.
    private func ownersSchema(_ options: ConnectionOptions) async throws -> TLSchema {
        guard options.layer == nil, options.schema == nil else { return try options.readSchema() }
        let status = try await status()
        if let path = status["schema"]?.string { return try TLSchema(text: try SmallText.read(path, "the schema")) }
        return try TLSchema(layer: (status["layer"]?.int).map { Int($0) } ?? TLSchema.layers[0])
    }

    /// What the owner of the session says of itself and the account.
    ///
    /// - Throws: `AccountError`, `timedOut` and others, when there is none.
    package func status() async throws -> JSON {
        let desk = RemoteAccount(socketPath, schema: try TLSchema())
        return try await running(desk.run) { try await desk.status() }
    }

    /// Owns the account, and serves all others who want it, until the shutdown.
    ///
    /// - Throws: `AccountError`, `busy`, when another process uses the session; why the account cannot be used any more.
    package func own(_ options: ConnectionOptions, until shutdown: Shutdown) async throws {
        _ = try store.load(name)
        guard case .taken(let lock) = try SessionLock.attempt(lockPath) else { throw busy(user) }
        let client = try client(try options.settings())
        let about: JSONObject = [
            "version": .string(tgpipeVersion), "schema": options.schema.map { .string(absolutePath($0)) },
        ]
        let owner = AccountOwner(account: client, place: self, about: about, log: log)
        try await running(client.run) { try await serve(owner, until: shutdown) }
        _ = consume lock
    }

    private func serve(_ owner: AccountOwner, until shutdown: Shutdown) async throws {
        let (closing, ending) = (Promise<Void>(), Promise<Void>())
        let events = try await owner.account.events()
        // Calls that are being made at the account's end are still answered.
        @Sendable func endingWithAccount(_ body: () async throws -> Void) async {
            do { try await body() } catch  where !Task.isCancelled {
                ending.fulfil(.failure(error))
                closing.fulfil(.success(()))
            } catch {}
        }
        try await running({
            await withDiscardingTaskGroup { group in
                group.addTask { await endingWithAccount { try await owner.account.startPatiently() } }
                group.addTask { await endingWithAccount { for try await event in events { owner.tell(event) } } }
                group.addTask {
                    await shutdown.wait()
                    closing.fulfil(.success(()))
                }
            }
        }) {
            try await owner.serve(until: closing) {
                owner.log.notice("the session '\(name)' is shared at \(socketPath)")
            }
        }
        try ending.result?.get()
    }

    /// Removes the session, and what was kept beside it, unless another process uses it.
    ///
    /// - Throws: `AccountError`: `notFound`, `sessionIO`, `busy`.
    package func remove() async throws {
        guard store.names().contains(name) else {
            throw AccountError(.notFound, "there is no session of the name '\(name)'")
        }
        let end = ContinuousClock.now + NamedSession.patience
        while true {
            switch try SessionLock.attempt(lockPath) {
            case .taken(let lock):
                try store.remove(name)
                removeFiles(in: "\(store.folder)/\(name).uploads")
                for path in [socketPath, peersPath, "\(peersPath)-wal", "\(peersPath)-shm", lockPath] { unlink(path) }
                _ = consume lock
                return
            case .busy(let pid):
                // An owner that has just logged out needs a moment to end.
                guard ContinuousClock.now < end else { throw busy(pid) }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// For whoever has the lock: until then another process may change the session.
    private func client(_ settings: AccountSettings) throws -> DirectAccount {
        let session = try store.load(name)
        let keeper = SessionKeeper(session, in: store, as: name)
        let peers = try PeerStore(path: peersPath, account: session.userID, log: log)
        return DirectAccount(settings, keeper, floods: floods, peers: peers, log: log)
    }

    func busy(_ pid: pid_t?) -> AccountError {
        let holder = pid.map { "process \($0)" } ?? "another process"
        let advice =
            isShared
            ? "which shares it with all tools already"
            : "which does not share it: wait for its end, or let all tools share it with tg-session run \(name)"
        return AccountError(.busy, "the session '\(name)' is in use by \(holder), \(advice)")
    }
}

/// Runs `body` while what it needs is kept running, and ends that after it.
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
    /// Runs `body` while the connections are kept up.
    func whileRunning<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await running(run) { [self] in
            try await start()
            return try await body()
        }
    }
}
