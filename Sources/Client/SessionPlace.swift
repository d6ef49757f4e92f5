public import Accounts
import Glibc
import Logging
public import Stage

/// A session by its name: where its files are.
public struct SessionPlace: Sendable {
    public let name: String
    public let store: SessionStore
    let log: Logger
    private let floods: any FloodLedger

    /// - Throws: `AccountError`, `invalidName`; `StageError`.
    public init(_ name: String, _ runtime: Runtime) throws {
        store = SessionStore(folder: try runtime.stateFolder("sessions"))
        _ = try store.path(name)
        (self.name, log, floods) = (name, runtime.log, runtime.floodLedger())
    }

    var lockPath: String { "\(store.folder)/\(name).lock" }
    var socketPath: String { "\(store.folder)/\(name).sock" }
    var peersPath: String { "\(store.folder)/\(name).peers" }

    /// See `AccountOptions.withAccount`.
    func withAccount<Value: Sendable>(
        _ options: ConnectionOptions, _ body: @escaping @Sendable (any Account) async throws -> Value
    ) async throws -> Value {
        let session = try store.load(name)
        switch try SessionLock.attempt(lockPath) {
        case .busy(let pid): throw SessionPlace.busy(name, pid)
        case .taken(let lock):
            let settings = try options.settings()
            let keeper = SessionKeeper(session, in: store, as: name)
            let client = AccountClient(
                settings, keeper, floods: floods, peers: try PeerBook(path: peersPath, log: log), log: log)
            let value = try await client.whileRunning { try await body(client) }
            _ = consume lock
            return value
        }
    }

    static func busy(_ name: String, _ pid: pid_t?) -> ClientError {
        let holder = pid.map { "process \($0)" } ?? "another process"
        return ClientError(
            .busy,
            "the session '\(name)' is in use by \(holder), which does not share it: wait for its end, or let all tools share it with tg-session run \(name)"
        )
    }
}

extension AccountClient {
    /// Runs `body` while the connections are kept up.
    func whileRunning<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                await self.run()
                return nil
            }
            group.addTask {
                try await self.start()
                return try await body()
            }
            defer { group.cancelAll() }
            while let value = try await group.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }
}
