import Glibc
import JSON
import SQLite

/// The peer database on disk. Only one thread at a time may use it.
///
/// `peers`: the stored object by Bot API id, whether it is `min`, and when it was seen (seconds since 1970, to the
/// hour). `names`: by user name in lower case, the peer's id (0: nobody has the name), and when that was learned.
/// `owner`: the account that the database belongs to; its contents are valid for that account only.
final class PeerTable {
    /// User names change owners: after this time, in seconds, Telegram is asked again.
    static let nameSeconds: Int64 = 86_400
    /// The time in seconds for which an unused name is not requested again.
    static let nobodySeconds: Int64 = 300
    /// The precision of the stored times, in seconds, so that peers seen all the time are not written all the time.
    static let seenSeconds: Int64 = 3600
    private static let version: Int64 = 1

    private let database: PeerDatabase
    private let limit: Int
    /// The number of peers; nil until it is counted, which takes a while in a large database.
    private var count: Int?
    /// The account's id; 0 while it is unknown.
    private var account: Int64 = 0
    /// The number of times that peers were deleted.
    private(set) var deletions = 0

    /// Opens the database. One that cannot be read is replaced by an empty one, since Telegram shows all peers again in
    /// time.
    ///
    /// - Parameter limit: the largest number of peers; beyond it, the peers that were not seen for longest are deleted.
    static func open(_ path: String, limit: Int) throws(AccountError) -> PeerTable {
        do throws(AccountError) {
            if let table = try PeerTable(path, limit: limit) { return table }
        } catch  where error.code == .damaged {}
        for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
        guard let table = try PeerTable(path, limit: limit) else {
            throw AccountError(.sessionIO, "the peer database \(path) cannot be created")
        }
        return table
    }

    /// Returns nil if the database has another version.
    private init?(_ path: String, limit: Int) throws(AccountError) {
        database = try PeerDatabase(path)
        self.limit = limit
        var version: Int64 = 0
        try database.run("PRAGMA user_version") { version = $0.integer(0) }
        guard version == 0 || version == PeerTable.version else { return nil }
        if version == 0 { try make() }
        try database.run("CREATE TABLE IF NOT EXISTS resolutions (time INTEGER NOT NULL)")
        try database.run("SELECT id FROM owner") { account = $0.integer(0) }
    }

    /// Assigns the database to an account, and deletes the peers of another one.
    func assign(to id: Int64) throws(AccountError) {
        guard id != account else { return }
        try database.atomically { () throws(AccountError) in
            // The first peers may arrive before the account's id; those are kept.
            if account != 0 {
                try database.run("DELETE FROM peers")
                try database.run("DELETE FROM names")
                count = nil
                deletions += 1
            }
            try database.run("DELETE FROM owner")
            try database.run("INSERT INTO owner (id) VALUES (?)", .integer(id))
        }
        account = id
    }

    private func make() throws(AccountError) {
        try database.atomically { () throws(AccountError) in
            try database.run(
                """
                CREATE TABLE peers (id INTEGER PRIMARY KEY, min INTEGER NOT NULL, seen INTEGER NOT NULL, \
                object TEXT NOT NULL)
                """)
            try database.run("CREATE INDEX peers_by_age ON peers (seen)")
            try database.run(
                "CREATE TABLE names (name TEXT PRIMARY KEY, id INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID")
            try database.run("CREATE INDEX names_by_owner ON names (id)")
            try database.run("CREATE TABLE owner (id INTEGER NOT NULL)")
            try database.run("PRAGMA user_version = \(PeerTable.version)")
        }
    }

    func note(_ peers: [KnownPeer], at now: Int64) throws(AccountError) {
        guard !peers.isEmpty else { return }
        if let own = peers.first(where: \.isOwn), case .user(let id) = own.id { try assign(to: id) }
        try database.atomically { () throws(AccountError) in
            for peer in peers { try note(peer, at: now) }
        }
    }

    private func note(_ peer: KnownPeer, at now: Int64) throws(AccountError) {
        let old = try row(peer.id.botAPI)
        if let old, (peer.isMin && !old.isMin) || peer.isForbidden { return }
        let text = JSON.object(peer.object).text
        let isFresh = (old.map { now - $0.seen < PeerTable.seenSeconds && $0.seen <= now }) ?? false
        guard !isFresh || old?.text != text || old?.isMin != peer.isMin else { return }
        try database.run(
            "INSERT OR REPLACE INTO peers (id, min, seen, object) VALUES (?, ?, ?, ?)", .integer(peer.id.botAPI),
            .integer(peer.isMin ? 1 : 0), .integer(now), .text(text))
        if !peer.isMin { try setNames(peer.names, of: peer.id.botAPI, at: now) }
        if old == nil { try grow() }
    }

    /// Assigns the names to a peer; another peer that had one of them loses it.
    private func setNames(_ names: [String], of id: Int64, at now: Int64) throws(AccountError) {
        try database.run("DELETE FROM names WHERE id = ?", .integer(id))
        for name in names { try setName(name, id, at: now) }
    }

    /// - Parameter id: the peer's id; nil if nobody has the name.
    func setName(_ name: String, _ id: Int64?, at now: Int64) throws(AccountError) {
        if id == nil {
            try database.run(
                "DELETE FROM names WHERE id = 0 AND seen < ?", .integer(now - PeerTable.nobodySeconds))
        }
        try database.run(
            "INSERT OR REPLACE INTO names (name, id, seen) VALUES (?, ?, ?)", .text(name), .integer(id ?? 0),
            .integer(now))
    }

    /// Counts one more resolution of a name.
    ///
    /// - Parameter most: the most resolutions in the last 24 hours.
    /// - Returns: false, with nothing counted, if there were so many.
    func countResolution(most: Int64, at now: Int64) throws(AccountError) -> Bool {
        try database.run(
            "DELETE FROM resolutions WHERE time <= ? OR time > ?", .integer(now - PeerTable.nameSeconds), .integer(now))
        var count: Int64 = 0
        try database.run("SELECT count(*) FROM resolutions") { count = $0.integer(0) }
        guard count < most else { return false }
        try database.run("INSERT INTO resolutions (time) VALUES (?)", .integer(now))
        return true
    }

    func peer(_ id: Int64) throws(AccountError) -> KnownPeer? {
        try row(id).flatMap { KnownPeer(kept: $0.text, isMin: $0.isMin) }
    }

    enum Owner: Equatable {
        case unknown
        case nobody
        case peer(Int64)
    }

    /// Returns who has a name, if that was learned recently enough.
    func owner(of name: String, at now: Int64) throws(AccountError) -> Owner {
        var owner = Owner.unknown
        try database.run("SELECT id, seen FROM names WHERE name = ?", .text(name)) { row in
            let (id, age) = (row.integer(0), now - row.integer(1))
            // After the clock was set back, stored times may lie in the future.
            guard (0..<(id == 0 ? PeerTable.nobodySeconds : PeerTable.nameSeconds)).contains(age) else { return }
            owner = id == 0 ? .nobody : .peer(id)
        }
        return owner
    }

    private struct Row {
        let text: String
        let isMin: Bool
        let seen: Int64
    }

    private func row(_ id: Int64) throws(AccountError) -> Row? {
        var found: Row?
        try database.run("SELECT object, min, seen FROM peers WHERE id = ?", .integer(id)) {
            found = Row(text: $0.text(0), isMin: $0.integer(1) != 0, seen: $0.integer(2))
        }
        return found
    }

    /// Counts one more peer. Beyond the limit, a hundredth of all peers are deleted at once, so that this is rare.
    private func grow() throws(AccountError) {
        if let known = count {
            count = known + 1
        } else {
            try database.run("SELECT count(*) FROM peers") { count = Int($0.integer(0)) }
        }
        guard let known = count, known > limit else { return }
        deletions += 1
        let oldest = "(SELECT id FROM peers ORDER BY seen LIMIT ?)"
        let surplus = PeerDatabase.Value.integer(Int64(known - limit + limit / 100))
        try database.run("DELETE FROM names WHERE id IN \(oldest)", surplus)
        try database.run("DELETE FROM peers WHERE id IN \(oldest)", surplus)
        count = nil
    }
}
