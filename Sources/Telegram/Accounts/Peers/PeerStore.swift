import JSON
import System
import Logging
import Synchronization
import TL

/// Stores the peers that an account has seen, on disk. `access_hash` and names differ by account, and resolving many
/// names leads to flood waits of hours.
///
/// Also resolves short forms (`me`, `@name`, links, ids): see `expanding`.
final class PeerStore: Sendable {
    private let table: Mutex<PeerTable>
    private let thread = BlockingThread()
    private let log: Logger
    private let hasWarned = Atomic(false)
    /// The questions that are being asked; concurrent callers wait for the same answer.
    let questions = Mutex<[String: Promise<Void>]>([:])
    private let recent = Mutex(RecentPeers())
    /// Peers that were read since the last change, so that the calls of a long reading do not wait for the database.
    private let read = Mutex<[Int64: KnownPeer]>([:])
    let lastSearch = Mutex<ContinuousClock.Instant?>(nil)

    /// Opens or creates the database. One that cannot be read is replaced by an empty one.
    ///
    /// - Parameters:
    ///   - path: The file, `NAME.peers` beside the session, created with access for its owner only.
    ///   - account: The account's id, if it is known. Peers that were stored for another account are deleted.
    ///   - limit: The largest number of stored peers.
    /// - Throws: `AccountError`, `sessionIO`.
    init(path: String, account: Int64? = nil, limit: Int = 1_000_000, log: Logger) throws(AccountError) {
        let opened = try PeerTable.open(path, limit: limit)
        if let account { try opened.assign(to: account) }
        table = Mutex(opened)
        self.log = log
    }

    /// Stores the users, chats and channels of a result or an update. Only the first failure is logged.
    ///
    /// After this has returned, the peers can be found.
    func note(_ value: TLValue) async {
        do {
            let peers = try newPeers(in: value)
            guard !peers.isEmpty else { return }
            let deletions = try await work { table throws(AccountError) in
                defer { self.read.withLock { $0 = [:] } }
                try table.note(peers, at: PeerStore.now)
                return table.deletions
            }
            recent.withLock { $0.keep(since: deletions) }
        } catch let error as any ReportableError {
            // What was to be stored is stored when it is seen again.
            recent.withLock { $0.keep(since: -1) }
            guard !hasWarned.exchange(true, ordering: .relaxed) else { return }
            log.warning("\(error.message); peers are not remembered")
        } catch {}
    }

    /// Returns the peers of a value, without those that were stored in the same form a short while ago.
    private func newPeers(in value: TLValue) throws -> [KnownPeer] {
        let document = try value.document()
        let now = PeerStore.now
        var found: [KnownPeer] = []
        withExtendedLifetime(document) {
            recent.withLock { recent in
                KnownPeer.forEach(in: document.view) { peer in
                    guard recent.insert(peer, at: now), let known = peer.json.object.flatMap({ KnownPeer($0) }) else {
                        return
                    }
                    found.append(known)
                }
            }
        }
        return found
    }

    /// Returns the stored object of a peer, without a request to Telegram.
    ///
    /// - Throws: `AccountError`, `sessionIO`.
    func known(botAPI id: Int64) async throws -> JSON? { try await known(id).map { .object($0.object) } }

    func known(_ id: Int64) async throws(AccountError) -> KnownPeer? {
        if let known = read.withLock({ $0[id] }) { return known }
        return try await work { table throws(AccountError) in
            let known = try table.peer(id)
            self.read.withLock { read in
                if read.count >= PeerStore.mostRead { read = [:] }
                read[id] = known
            }
            return known
        }
    }

    func owner(of name: String) async throws(AccountError) -> PeerTable.Owner {
        try await work { table throws(AccountError) in try table.owner(of: name, at: PeerStore.now) }
    }

    /// Counts one more resolution of a name, which a user's account may request about 200 times a day.
    ///
    /// - Throws: `AccountError`, `namesUsedUp`.
    func countResolution(of name: String) async throws(AccountError) {
        let isAllowed = try await work { table throws(AccountError) in
            try table.countResolution(most: PeerStore.mostResolutions, at: PeerStore.now)
        }
        guard isAllowed else {
            throw AccountError(
                .namesUsedUp,
                "@\(name) is not looked up: this account has looked up \(PeerStore.mostResolutions) names in the last 24 hours, and Telegram makes an account that looks up more wait for hours; use the chat's id"
            )
        }
    }

    static let mostResolutions: Int64 = 200
    /// The most peers that are kept in memory.
    private static let mostRead = 64

    func setName(_ name: String, _ id: Int64?) async throws(AccountError) {
        try await work { table throws(AccountError) in try table.setName(name, id, at: PeerStore.now) }
    }

    private func work<Value: Sendable>(
        _ body: @escaping @Sendable (PeerTable) throws(AccountError) -> Value
    ) async throws(AccountError) -> Value {
        let result = await thread.run { () -> Result<Value, AccountError> in
            self.table.withLock { table in
                do throws(AccountError) { return .success(try body(table)) } catch { return .failure(error) }
            }
        }
        return try result.get()
    }

    private static var now: Int64 { Timestamp.now.microseconds / 1_000_000 }
}

/// Remembers which peers were stored lately, in which form, so that a peer of each page of a history is not looked up each time.
private struct RecentPeers {
    /// The most peers that are remembered.
    private static let most = 50_000

    private let seed = UInt64.random(in: 0...UInt64.max)
    private var times: [UInt64: Int64] = [:]
    private var deletions = 0

    /// Returns whether a peer has to be stored.
    mutating func insert(_ peer: JSONView, at now: Int64) -> Bool {
        let hash = peer.hash(seed: seed)
        if let time = times[hash], now - time < PeerTable.seenSeconds, time <= now { return false }
        if times.count >= RecentPeers.most { times = [:] }
        times[hash] = now
        return true
    }

    /// Forgets everything if peers were deleted from the database.
    mutating func keep(since deletions: Int) {
        if deletions != self.deletions { times = [:] }
        self.deletions = deletions
    }
}
