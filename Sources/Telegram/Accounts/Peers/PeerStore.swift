import JSON
import System
import Glibc
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
            guard PeerStore.mayHavePeers(try value.text()) else { return }
            try await work { table throws(AccountError) in
                try table.note(KnownPeer.all(in: try PeerStore.parsed(value)), at: PeerStore.now)
            }
        } catch let error as any ReportableError {
            guard !hasWarned.exchange(true, ordering: .relaxed) else { return }
            log.warning("\(error.message); peers are not remembered")
        } catch {}
    }

    private static func parsed(_ value: TLValue) throws(AccountError) -> JSON {
        do throws(TLError) { return try value.json() } catch {
            throw AccountError(.unexpectedAnswer, "unable to read what Telegram sent: \(error.message)")
        }
    }

    /// Returns the stored object of a peer, without a request to Telegram.
    ///
    /// - Throws: `AccountError`, `sessionIO`.
    func known(botAPI id: Int64) async throws -> JSON? { try await known(id).map { .object($0.object) } }

    func known(_ id: Int64) async throws(AccountError) -> KnownPeer? {
        try await work { table throws(AccountError) in try table.peer(id) }
    }

    func owner(of name: String) async throws(AccountError) -> PeerTable.Owner {
        try await work { table throws(AccountError) in try table.owner(of: name, at: PeerStore.now) }
    }

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

    /// Returns false if the text has no peers: most results and updates have none, and need not be parsed.
    private static func mayHavePeers(_ text: [UInt8]) -> Bool {
        let words = [#"_":"user""#, #"_":"chat"#, #"_":"channel"#]
        return text.withUnsafeBytes { bytes in
            guard var place = bytes.baseAddress else { return false }
            let end = place + bytes.count
            while let found = memchr(place, Int32(UInt8(ascii: "_")), end - place) {
                let isWord = words.contains { word in
                    word.utf8.count <= end - UnsafeRawPointer(found) && memcmp(found, word, word.utf8.count) == 0
                }
                if isWord { return true }
                place = UnsafeRawPointer(found) + 1
            }
            return false
        }
    }
}
