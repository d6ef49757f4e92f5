import CSQLite

/// A prepared statement, which can be run many times with other values. It keeps its database open, and is freed with the object.
///
/// Parameters are numbered from 1, columns from 0. Values stay bound after a run until others take their place.
package final class SQLiteStatement {
    private let handle: OpaquePointer
    private let database: SQLiteDatabase

    /// Takes over `handle`.
    init(_ handle: OpaquePointer, _ database: SQLiteDatabase) { (self.handle, self.database) = (handle, database) }

    deinit { sqlite3_finalize(handle) }

    package func bind(_ value: Int64, at parameter: Int) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, Int32(parameter), value))
    }

    package func bind(_ value: Double, at parameter: Int) throws(SQLiteError) {
        try check(sqlite3_bind_double(handle, Int32(parameter), value))
    }

    /// Binds a value; SQLite keeps a copy of text and bytes.
    package func bind(_ value: SQLiteValue, at parameter: Int) throws(SQLiteError) {
        try check(value.bind(to: handle, Int32(parameter)))
    }

    /// Binds text, UTF-8, without a copy.
    ///
    /// - Parameter utf8: must stay where it is, unchanged, until the statement was reset and the parameter has another value.
    package func bindText(borrowing utf8: UnsafeRawBufferPointer, at parameter: Int) throws(SQLiteError) {
        guard utf8.count <= Int32.max else { throw SQLiteStatement.tooLong }
        // Without a pointer there would be NULL in place of an empty text.
        let start = (utf8.baseAddress ?? UnsafeRawPointer(handle)).assumingMemoryBound(to: CChar.self)
        try check(sqlite3_bind_text(handle, Int32(parameter), start, Int32(utf8.count), nil))
    }

    /// Binds bytes without a copy; the same holds as for `bindText`.
    package func bindBlob(borrowing bytes: UnsafeRawBufferPointer, at parameter: Int) throws(SQLiteError) {
        guard bytes.count <= Int32.max else { throw SQLiteStatement.tooLong }
        let start = bytes.baseAddress ?? UnsafeRawPointer(handle)
        try check(sqlite3_bind_blob(handle, Int32(parameter), start, Int32(bytes.count), nil))
    }

    package func bindNull(at parameter: Int) throws(SQLiteError) {
        try check(sqlite3_bind_null(handle, Int32(parameter)))
    }

    /// Sets all parameters to NULL, and so ends the use of borrowed memory.
    package func clearBindings() { sqlite3_clear_bindings(handle) }

    /// Runs the statement to its end, with the values that are bound, and makes it ready for the next run.
    ///
    /// - Parameter row: called for each row of the result; the row is valid until it returns.
    package func run(row: (borrowing SQLiteRow) -> Void = { _ in }) throws(SQLiteError) {
        defer { sqlite3_reset(handle) }
        while try step() { row(SQLiteRow(handle)) }
    }

    /// Binds all parameters and runs the statement.
    package func run(_ values: SQLiteValue..., row: (borrowing SQLiteRow) -> Void = { _ in }) throws(SQLiteError) {
        for (index, value) in values.enumerated() { try bind(value, at: index + 1) }
        try run(row: row)
    }

    private func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let status: throw SQLiteError(status: status, database.handle)
        }
    }

    private func check(_ status: Int32) throws(SQLiteError) {
        guard status == SQLITE_OK else { throw SQLiteError(status: status, database.handle) }
    }

    private static var tooLong: SQLiteError { SQLiteError(.tooBig, "a value is longer than 2 GiB") }
}

/// One row of a result, valid only where it is handed over. Columns are numbered from 0.
package struct SQLiteRow: ~Copyable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    /// The row that the statement is at, which is this one until the next is handed over.
    package var followed: SQLiteRow { SQLiteRow(handle) }

    package var columnCount: Int { Int(sqlite3_column_count(handle)) }

    package func isNull(_ column: Int) -> Bool { sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL }

    /// Returns the column as an integer; 0 for NULL and for text without digits.
    package func integer(_ column: Int) -> Int64 { sqlite3_column_int64(handle, Int32(column)) }

    package func double(_ column: Int) -> Double { sqlite3_column_double(handle, Int32(column)) }

    /// Returns the column as text, NUL characters included; empty for NULL. Bytes that are not UTF-8 become U+FFFD.
    package func text(_ column: Int) -> String {
        let start = sqlite3_column_text(handle, Int32(column))
        let count = Int(sqlite3_column_bytes(handle, Int32(column)))
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    package func blob(_ column: Int) -> [UInt8] { withBytes(column) { Array($0) } }

    /// Hands over the bytes of a text or blob column without a copy; they are valid until `body` returns.
    package func withBytes<Result>(_ column: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let start = sqlite3_column_blob(handle, Int32(column))
        return body(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, Int32(column)))))
    }

    /// Returns the column in the type in which it is stored.
    package func value(_ column: Int) -> SQLiteValue {
        switch sqlite3_column_type(handle, Int32(column)) {
        case SQLITE_INTEGER: .integer(integer(column))
        case SQLITE_FLOAT: .double(double(column))
        case SQLITE_TEXT: .text(text(column))
        case SQLITE_BLOB: .blob(blob(column))
        default: .null
        }
    }
}

/// A value in one of SQLite's five storage classes.
package enum SQLiteValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case double(Double)
    /// Text; it may hold NUL characters.
    case text(String)
    case blob([UInt8])

    /// Returns SQLite's status.
    func bind(to statement: OpaquePointer, _ parameter: Int32) -> Int32 {
        // SQLite copies the bytes, which are gone when this returns.
        let copies = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        switch self {
        case .null: return sqlite3_bind_null(statement, parameter)
        case .integer(let number): return sqlite3_bind_int64(statement, parameter, number)
        case .double(let number): return sqlite3_bind_double(statement, parameter, number)
        case .text(var text):
            return text.withUTF8 { utf8 in
                guard utf8.count <= Int32.max else { return SQLITE_TOOBIG }
                let start = UnsafeRawPointer(utf8.baseAddress) ?? UnsafeRawPointer(statement)
                // Without a pointer there would be NULL in place of an empty text.
                return sqlite3_bind_text(
                    statement, parameter, start.assumingMemoryBound(to: CChar.self), Int32(utf8.count), copies)
            }
        case .blob(let bytes):
            return bytes.withUnsafeBytes { bytes in
                guard bytes.count <= Int32.max else { return SQLITE_TOOBIG }
                let start = bytes.baseAddress ?? UnsafeRawPointer(statement)
                return sqlite3_bind_blob(statement, parameter, start, Int32(bytes.count), copies)
            }
        }
    }
}
