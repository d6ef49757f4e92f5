/// Writes rows in the binary form of PostgreSQL's COPY, and sends them in blocks.
///
/// For each row, `begin` is followed by exactly as many values as it names.
package struct CopyWriter: ~Copyable {
    private static let blockBytes = 128 << 10
    /// The room that is always left for the values of a fixed size in a row.
    private static let margin = 1024
    private static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [0, 0, 0, 0, 0, 0, 0, 0]
    /// The seconds from 1970 to 2000, where PostgreSQL's times begin.
    private static let epoch: Int64 = 946_684_800

    private let connection: PostgresConnection
    private let block: UnsafeMutableRawPointer
    private var used = 0

    init(_ connection: PostgresConnection) {
        self.connection = connection
        block = .allocate(byteCount: CopyWriter.blockBytes, alignment: 16)
        CopyWriter.signature.withUnsafeBytes { append($0) }
    }

    deinit { block.deallocate() }

    /// Begins a row, and sends the rows before it if there are enough.
    package mutating func begin(columns: Int16) throws(PostgresError) {
        if used > CopyWriter.blockBytes / 2 { try flush() }
        store(columns.bigEndian)
    }

    package mutating func null() { store(Int32(-1).bigEndian) }

    /// Writes a `bigint`.
    package mutating func integer(_ value: Int64?) {
        guard let value else { return null() }
        store(Int32(8).bigEndian)
        store(value.bigEndian)
    }

    /// Writes a `timestamptz`; a time that PostgreSQL does not have stays one, so that the server refuses the row.
    package mutating func time(microseconds: Int64?) {
        guard let microseconds else { return null() }
        let (value, isOver) = microseconds.subtractingReportingOverflow(CopyWriter.epoch * 1_000_000)
        integer(isOver ? Int64.min + 1 : value)
    }

    /// Writes a `timestamptz` of whole seconds.
    package mutating func time(seconds: Int64?) {
        guard let seconds else { return null() }
        let (microseconds, isOver) = seconds.multipliedReportingOverflow(by: 1_000_000)
        // The largest values mean infinity, which no message has: the value beside it is out of range.
        time(microseconds: isOver ? Int64.min + 1 : microseconds)
    }

    /// Writes a `text` or `bytea`, or with `prefix` 1 a `jsonb`.
    package mutating func bytes(_ value: UnsafeRawBufferPointer?, prefix: UInt8? = nil) throws(PostgresError) {
        guard let value else { return null() }
        store(Int32(clamping: value.count + (prefix == nil ? 0 : 1)).bigEndian)
        if let prefix { store(prefix) }
        if value.count <= CopyWriter.blockBytes - used - CopyWriter.margin { return append(value) }
        try flush()
        if value.count <= CopyWriter.blockBytes / 2 { return append(value) }
        try connection.put(value)
    }

    mutating func finish() throws(PostgresError) {
        store(Int16(-1).bigEndian)
        try flush()
    }

    private mutating func flush() throws(PostgresError) {
        try connection.put(UnsafeRawBufferPointer(start: block, count: used))
        used = 0
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if let start = bytes.baseAddress { (block + used).copyMemory(from: start, byteCount: bytes.count) }
        used += bytes.count
    }

    fileprivate mutating func store<Value: BitwiseCopyable>(_ value: Value) {
        (block + used).storeBytes(of: value, as: Value.self)
        used += MemoryLayout<Value>.size
    }
}

extension CopyWriter {
    package mutating func boolean(_ value: Bool) {
        store(Int32(1).bigEndian)
        store(UInt8(value ? 1 : 0))
    }

    package mutating func text(_ value: String?) throws(PostgresError) {
        guard var value else { return null() }
        let result = value.withUTF8 { utf8 in
            Result { () throws(PostgresError) in try bytes(UnsafeRawBufferPointer(utf8)) }
        }
        try result.get()
    }
}

extension UnsafeRawBufferPointer {
    /// The value of a row that `copyOut` hands over and that has one column, a `bigint`; nil for the end of the data.
    package var onlyInteger: Int64? {
        // The first row comes together with the signature.
        let row = first == UInt8(ascii: "P") && count > 19 ? UnsafeRawBufferPointer(rebasing: self[19...]) : self
        guard row.count == 14 else { return nil }
        return Int64(bigEndian: row.loadUnaligned(fromByteOffset: 6, as: Int64.self))
    }
}
