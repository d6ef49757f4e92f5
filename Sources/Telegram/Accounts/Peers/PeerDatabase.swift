import CSQLite
import Glibc

/// A database of SQLite of our own: a file that nobody else may read. Not for two threads at once.
final class PeerDatabase {
    enum Value {
        case integer(Int64)
        case text(String)
    }

    private let path: String
    private var handle: OpaquePointer?
    /// Prepared once: the words are this library's own, and few.
    private var statements: [String: OpaquePointer] = [:]

    /// - Throws: `AccountError`, `sessionIO`; `damaged` when the file is no such database.
    init(_ path: String) throws(AccountError) {
        self.path = path
        // SQLite would let others read it; what it makes beside it has the rights of this file.
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw PeerDatabase.failure(path, String(cString: strerror(errno))) }
        fchmod(descriptor, 0o600)
        close(descriptor)
        try check(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nil))
        sqlite3_busy_timeout(handle, 5000)
        // Enough for the tables' hot pages; an idle owner of a session stays small.
        for pragma in ["journal_mode=WAL", "synchronous=NORMAL", "cache_size=-2000", "trusted_schema=OFF"] {
            try check(sqlite3_exec(handle, "PRAGMA \(pragma)", nil, nil, nil))
        }
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close(handle)
    }

    /// Runs one statement; `row` is called for each row of its result.
    func run(_ words: String, _ values: Value..., row: (Row) -> Void = { _ in }) throws(AccountError) {
        let statement = try prepared(words)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() { try check(bind(value, to: statement, Int32(index + 1))) }
        var status = sqlite3_step(statement)
        while status == SQLITE_ROW {
            row(Row(statement: statement))
            status = sqlite3_step(statement)
        }
        guard status == SQLITE_DONE else { throw failure(status) }
    }

    /// All of it or nothing.
    func atomically(_ body: () throws(AccountError) -> Void) throws(AccountError) {
        try run("BEGIN")
        do throws(AccountError) {
            try body()
            try run("COMMIT")
        } catch {
            // Which fails when the failure has ended the transaction already.
            sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)
            throw error
        }
    }

    /// One row of a result; good until the next.
    struct Row {
        fileprivate let statement: OpaquePointer

        func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

        func text(_ column: Int32) -> String {
            let start = sqlite3_column_text(statement, column)
            let count = Int(sqlite3_column_bytes(statement, column))
            return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
        }
    }

    private func prepared(_ words: String) throws(AccountError) -> OpaquePointer {
        if let known = statements[words] { return known }
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, words, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        guard let statement else { throw failure(SQLITE_ERROR) }
        statements[words] = statement
        return statement
    }

    private func bind(_ value: Value, to statement: OpaquePointer, _ index: Int32) -> Int32 {
        switch value {
        case .integer(let number): return sqlite3_bind_int64(statement, index, number)
        case .text(var text):
            return text.withUTF8 { bytes in
                // Without a pointer there would be NULL in place of an empty text.
                bytes.withMemoryRebound(to: CChar.self) {
                    sqlite3_bind_text(
                        statement, index, $0.baseAddress, Int32(clamping: $0.count),
                        unsafeBitCast(-1, to: sqlite3_destructor_type.self))
                }
            }
        }
    }

    private func check(_ status: Int32) throws(AccountError) {
        guard status == SQLITE_OK else { throw failure(status) }
    }

    private func failure(_ status: Int32) -> AccountError {
        let code = status & 0xff
        if code == SQLITE_NOTADB || code == SQLITE_CORRUPT {
            return AccountError(.damaged, "the book of peers \(path) is damaged")
        }
        return PeerDatabase.failure(path, String(cString: sqlite3_errstr(status)))
    }

    private static func failure(_ path: String, _ reason: String) -> AccountError {
        AccountError(.sessionIO, "the book of peers \(path): \(reason)")
    }
}
