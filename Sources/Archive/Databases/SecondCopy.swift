import PostgreSQL
import System

/// Copies half of the new messages of a batch over a connection of its own, while the other half is copied over the archive's.
///
/// A server reads each connection in one process, and for messages kept as `jsonb` most of the time of `load` is that process's.
///
/// The half is committed by itself, before the transaction that it belongs to. The ranges, which state what is stored, are in that
/// later transaction. If it fails, the half is found when the batch is stored again.
final class SecondCopy: @unchecked Sendable {
    /// Fewer messages are stored as fast over one connection.
    static let leastRows = 500

    private let thread = BlockingThread()
    private let connection: PostgresConnection
    private let copier: RowCopy
    private let result = Monitor<Result<Void, any Error>?>(nil)

    fileprivate init(_ address: PostgresAddress, name: String, _ sql: MessageSQL) throws {
        connection = try PostgresConnection(address, name: name)
        copier = RowCopy(sql: sql, codec: RawCodec())
        try PostgresChecks(connection, address).prepareSession()
        // Two programs that store the same messages may each wait for a half of the other one, which the server cannot see.
        try connection.execute("SET lock_timeout = '1s'")
    }

    /// Begins to copy rows, which must not be changed until `finish` has returned.
    func begin(_ rows: RowSelection) {
        thread.enqueue { [self] in
            let copied = Result {
                try connection.transaction { try copier.copy(rows, to: "messages", over: connection) }
            }
            result.update { $0 = copied }
        }
    }

    /// Waits until the rows are committed.
    func finish() -> Result<Void, any Error> {
        result.wait { result in
            defer { result = nil }
            return result
        } ?? .success(())
    }
}

extension SecondCopy {
    /// Opens the second connection at its first use. Where the server does not allow it, one connection does.
    final class Opening {
        private let address: PostgresAddress
        private let name: String
        private let sql: MessageSQL
        private var opened: SecondCopy?
        private var isRefused = false

        init(_ address: PostgresAddress, name: String, _ sql: MessageSQL) {
            (self.address, self.name, self.sql) = (address, name, sql)
        }

        /// Returns nil if there can be no second connection.
        func open() -> SecondCopy? {
            if opened == nil, !isRefused {
                opened = try? SecondCopy(address, name: name, sql)
                isRefused = opened == nil
            }
            return opened
        }

        /// Drops a connection that failed; the next use opens another one.
        func close() { opened = nil }
    }
}
