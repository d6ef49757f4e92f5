import CPostgres
import Glibc

/// Owns a result of libpq.
final class PostgresResult {
    let handle: OpaquePointer?

    init(_ handle: OpaquePointer?) { self.handle = handle }

    deinit { PQclear(handle) }

    /// Returns the number of rows that were changed, or returned.
    ///
    /// - Throws: the error that the result is, if it is one.
    func checked(_ connection: PostgresConnection) throws(PostgresError) -> Int {
        switch PQresultStatus(handle) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE, PGRES_EMPTY_QUERY:
            return Int(String(cString: PQcmdTuples(handle))) ?? 0
        case PGRES_COPY_IN, PGRES_COPY_OUT: return 0
        default:
            guard let state = field("C") else { throw connection.failure() }
            let detail = field("D").map { " (\($0))" } ?? ""
            throw PostgresError(state: state, "\(field("M") ?? "unknown failure")\(detail)")
        }
    }

    private func field(_ letter: Unicode.Scalar) -> String? {
        PQresultErrorField(handle, Int32(letter.value)).map { String(cString: $0) }
    }
}

/// One row of a result, valid only where it is handed over. Columns are numbered from 0.
package struct PostgresRow {
    private let handle: OpaquePointer?
    private let index: Int32

    init(_ handle: OpaquePointer?, _ index: Int32) { (self.handle, self.index) = (handle, index) }

    package var columnCount: Int { Int(PQnfields(handle)) }

    package func name(_ column: Int) -> String { PQfname(handle, Int32(column)).map { String(cString: $0) } ?? "" }

    package func isNull(_ column: Int) -> Bool { PQgetisnull(handle, index, Int32(column)) == 1 }

    /// Returns the column as an integer; 0 for NULL and for text without digits.
    package func integer(_ column: Int) -> Int64 { strtoll(PQgetvalue(handle, index, Int32(column)), nil, 10) }

    /// Returns the column in PostgreSQL's text form; empty for NULL.
    package func text(_ column: Int) -> String { withBytes(column) { String(decoding: $0, as: UTF8.self) } }

    /// Hands over the column's text form without a copy; it is valid until `body` returns.
    package func withBytes<Result>(_ column: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(
            UnsafeRawBufferPointer(
                start: PQgetvalue(handle, index, Int32(column)), count: Int(PQgetlength(handle, index, Int32(column)))))
    }

    /// Returns a `bytea` column, which comes as hexadecimal digits.
    package func blob(_ column: Int) -> [UInt8] {
        withBytes(column) { text in
            let digit = { (byte: UInt8) in byte <= 57 ? byte &- 48 : (byte | 0x20) &- 87 }
            return stride(from: 2, to: text.count - 1, by: 2).map { digit(text[$0]) << 4 | digit(text[$0 + 1]) & 15 }
        }
    }
}

/// A value for a parameter of a statement.
package enum PostgresValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case double(Double)
    /// Text; the server refuses NUL characters in it.
    case text(String)
    case blob([UInt8])

    private var bytes: [UInt8]? {
        switch self {
        case .null: nil
        case .integer(let number): Array(String(number).utf8) + [0]
        case .double(let number): Array(String(number).utf8) + [0]
        // In the binary form, a NUL character does not end the text.
        case .text(let text): Array(text.utf8)
        case .blob(let bytes): bytes
        }
    }

    private var isBinary: Bool {
        switch self {
        case .text, .blob: true
        default: false
        }
    }

    /// Calls a body with the parameters in the form that libpq takes.
    static func withPointers<Result>(
        _ values: [PostgresValue],
        _ body: (Int32, [UnsafePointer<CChar>?], [Int32], [Int32]) -> Result
    ) -> Result {
        let encoded = values.map(\.bytes)
        var memory: [UInt8] = []
        var places: [Int?] = []
        for bytes in encoded {
            places.append(bytes.map { _ in memory.count })
            memory += bytes ?? []
            // The address of an empty value must not be null.
            memory.append(0)
        }
        return memory.withUnsafeBytes { memory in
            let pointers = places.map { place in
                place.flatMap { memory.baseAddress?.advanced(by: $0).assumingMemoryBound(to: CChar.self) }
                    .map { UnsafePointer($0) }
            }
            return body(
                Int32(values.count), pointers, encoded.map { Int32(clamping: $0?.count ?? 0) },
                values.map { $0.isBinary ? 1 : 0 })
        }
    }
}
