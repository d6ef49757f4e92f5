import SQLite

/// A SQLite database whose errors are the peer store's. Only one thread at a time may use it.
final class PeerDatabase {
    typealias Value = SQLiteValue

    private let path: String
    private let database: SQLiteDatabase

    /// Opens or creates the file, readable by its owner only.
    ///
    /// - Throws: `AccountError`, `sessionIO`; `damaged` when the file is no such database.
    init(_ path: String) throws(AccountError) {
        self.path = path
        do throws(SQLiteError) {
            database = try SQLiteDatabase(path, .createPrivate)
            // Enough for the tables' hot pages; an idle owner of a session stays small.
            for pragma in ["journal_mode=WAL", "synchronous=NORMAL", "cache_size=-2000"] {
                try database.execute("PRAGMA \(pragma)")
            }
        } catch {
            throw PeerDatabase.failure(path, error)
        }
    }

    /// Runs one statement, which stays prepared; `row` is called for each row of its result.
    func run(
        _ sql: String, _ values: Value..., row: (borrowing SQLiteRow) -> Void = { _ in }
    ) throws(AccountError) {
        do throws(SQLiteError) {
            try database.run(sql, values, row: row)
        } catch {
            throw PeerDatabase.failure(path, error)
        }
    }

    /// Runs `body` in a transaction: all of its changes are kept, or none.
    func atomically(_ body: () throws(AccountError) -> Void) throws(AccountError) {
        try run("BEGIN")
        do throws(AccountError) {
            try body()
            try run("COMMIT")
        } catch {
            database.rollBack()
            throw error
        }
    }

    private static func failure(_ path: String, _ error: SQLiteError) -> AccountError {
        switch error.code {
        case .corrupt, .notADatabase: AccountError(.damaged, "the peer database \(path) is damaged")
        default: AccountError(.sessionIO, "the peer database \(path): \(error.reason)")
        }
    }
}
