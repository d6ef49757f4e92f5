import CSQLite
import Glibc

/// A connection to one SQLite database, which closes itself when nothing uses it any more. Only one thread at a time may use it.
///
/// Views and triggers of the file cannot call functions with side effects (`trusted_schema=OFF`), so that a stranger's file is safe
/// to open.
package final class SQLiteDatabase {
    package enum Access: Sendable {
        /// Opens an existing file, and never writes to it.
        case readOnly
        /// Opens an existing file for reading and writing.
        case readWrite
        /// Creates a missing file, readable by its owner only, and removes other users' rights from an existing one; does not follow
        /// a symbolic link.
        case createPrivate
    }

    /// The moment at which a transaction takes the lock for writing.
    package enum TransactionKind: String, Sendable {
        /// The transaction locks the database at the first statement that writes.
        case deferred = "DEFERRED"
        /// The transaction locks the database at once, so that no later statement fails because another connection
        /// writes.
        case immediate = "IMMEDIATE"
    }

    /// The result of preparing the library, which is evaluated once.
    private static let started = tgp_sqlite_start()

    let handle: OpaquePointer
    /// The prepared statements of `run` that are not running now, by their SQL.
    private var idle: [String: OpaquePointer] = [:]

    /// Opens a database file.
    ///
    /// - Parameter busyTimeout: how long a statement waits for another connection's lock; milliseconds are the finest unit.
    /// - Throws: `SQLiteError`. If the file is not a database, only the first statement that reads it fails.
    package init(_ path: String, _ access: Access, busyTimeout: Duration = .seconds(5)) throws(SQLiteError) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw SQLiteError(.cannotOpen, "the path is empty or holds a NUL byte")
        }
        _ = SQLiteDatabase.started
        if access == .createPrivate { try SQLiteDatabase.createPrivateFile(path) }
        var handle: OpaquePointer?
        let flags = access == .readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE
        let status = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX, nil)
        guard status == SQLITE_OK, let handle else {
            // A handle comes with most failures, too.
            defer { sqlite3_close(handle) }
            throw SQLiteError(status: status, handle)
        }
        self.handle = handle
        let (seconds, attoseconds) = busyTimeout.components
        sqlite3_busy_timeout(handle, Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000))
        sqlite3_exec(handle, "PRAGMA trusted_schema=OFF", nil, nil, nil)
    }

    deinit {
        for statement in idle.values { sqlite3_finalize(statement) }
        sqlite3_close(handle)
    }

    /// SQLite would create the file with the process's usual rights; the files that it creates beside it get the same rights.
    private static func createPrivateFile(_ path: String) throws(SQLiteError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw SQLiteError(.cannotOpen, String(cString: strerror(errno))) }
        fchmod(descriptor, 0o600)
        close(descriptor)
    }

    /// Sets the most bytes that one value, row or statement of this connection may have.
    package func limitValues(toBytes count: Int) { sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, Int32(clamping: count)) }

    /// Executes one or several statements that have no parameters; rows of results are dropped.
    package func execute(_ sql: String) throws(SQLiteError) {
        guard !sql.utf8.contains(0) else { throw SQLiteDatabase.nulInStatement }
        try check(sqlite3_exec(handle, sql, nil, nil, nil))
    }

    /// Prepares one statement, to be run many times.
    package func statement(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
        SQLiteStatement(try prepared(sql), self)
    }

    /// Runs one statement, which stays prepared for the next call with the same SQL; meant for a limited number of constant texts.
    ///
    /// - Parameters:
    ///   - values: the statement's parameters in order.
    ///   - row: called for each row of the result; the row is valid until it returns.
    package func run(
        _ sql: String, _ values: [SQLiteValue], row: (borrowing SQLiteRow) -> Void = { _ in }
    ) throws(SQLiteError) {
        // While it runs it is not among the idle ones, so that `row` may run the same SQL.
        let statement: OpaquePointer
        if let known = idle.removeValue(forKey: sql) { statement = known } else { statement = try prepared(sql) }
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
            if let other = idle.updateValue(statement, forKey: sql) { sqlite3_finalize(other) }
        }
        for (index, value) in values.enumerated() { try check(value.bind(to: statement, Int32(index + 1))) }
        var status = sqlite3_step(statement)
        while status == SQLITE_ROW {
            row(SQLiteRow(statement))
            status = sqlite3_step(statement)
        }
        guard status == SQLITE_DONE else { throw SQLiteError(status: status, handle) }
    }

    package func run(
        _ sql: String, _ values: SQLiteValue..., row: (borrowing SQLiteRow) -> Void = { _ in }
    ) throws(SQLiteError) {
        try run(sql, values, row: row)
    }

    /// Runs `body` in a transaction: all of its changes are kept, or, when it throws, none.
    ///
    /// - Throws: the error of `body`, or `SQLiteError` when the transaction cannot begin or end.
    package func transaction<Value>(_ kind: TransactionKind = .deferred, _ body: () throws -> Value) throws -> Value {
        try run("BEGIN \(kind.rawValue)")
        do {
            let value = try body()
            try run("COMMIT")
            return value
        } catch {
            rollBack()
            throw error
        }
    }

    /// Undoes the open transaction; does nothing when there is none, as after a failure that ended it.
    package func rollBack() { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }

    /// The number of rows that the last INSERT, UPDATE or DELETE changed.
    package var changedRows: Int { Int(sqlite3_changes(handle)) }

    package var lastInsertedRowID: Int64 { sqlite3_last_insert_rowid(handle) }

    private func prepared(_ sql: String) throws(SQLiteError) -> OpaquePointer {
        guard !sql.utf8.contains(0) else { throw SQLiteDatabase.nulInStatement }
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        guard let statement else { throw SQLiteError(.invalidStatement, "the SQL holds no statement") }
        return statement
    }

    private func check(_ status: Int32) throws(SQLiteError) {
        guard status == SQLITE_OK else { throw SQLiteError(status: status, handle) }
    }

    private static var nulInStatement: SQLiteError { SQLiteError(.invalidStatement, "the SQL holds a NUL byte") }
}
