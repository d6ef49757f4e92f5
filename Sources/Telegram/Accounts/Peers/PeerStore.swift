import JSON
import System
import Glibc
import Logging
import Synchronization

/// Everybody whom an account has come across, on disk: `access_hash` and names differ by account, and asking Telegram for many
/// names brings waits of hours.
///
/// What short forms (`me`, `@name`, links, ids) stand for is looked up here: see `expanding`.
final class PeerStore: Sendable {
    private let table: Mutex<PeerTable>
    private let thread = BlockingThread()
    private let log: Logger
    private let hasWarned = Atomic(false)
    /// What is being asked for, so that nobody else asks the same meanwhile.
    let questions = Mutex<[String: Promise<Void>]>([:])
    let lastSearch = Mutex<ContinuousClock.Instant?>(nil)

    /// Opens or makes the book. One that cannot be read is begun anew.
    ///
    /// - Parameters:
    ///   - path: the file, `NAME.peers` beside the session; made for its owner only.
    ///   - account: whose book it has to be, if that is known; what was noted for another account is forgotten.
    ///   - most: peers that are kept.
    /// - Throws: `AccountError`, `sessionIO`.
    init(path: String, account: Int64? = nil, most: Int = 1_000_000, log: Logger) throws(AccountError) {
        let opened = try PeerTable.open(path, most: most)
        if let account { try opened.belong(to: account) }
        table = Mutex(opened)
        self.log = log
    }

    /// Keeps the users, chats and channels of a result or an update (JSON text). What fails is told in the log, once.
    ///
    /// When this has returned, they are found.
    func note(_ text: [UInt8]) async {
        guard PeerStore.mayHavePeers(text) else { return }
        do {
            try await work { table throws(AccountError) in
                guard let json = try? JSON(parsing: text) else { return }
                try table.note(KnownPeer.all(in: json), at: PeerStore.now)
            }
        } catch {
            guard !hasWarned.exchange(true, ordering: .relaxed) else { return }
            log.warning("\(error.message); peers are not remembered")
        }
    }

    /// What is known of a peer without asking Telegram.
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

    /// Most answers and updates have none, and are not read again for it.
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
