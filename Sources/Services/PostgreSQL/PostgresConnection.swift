import CPostgres
import Glibc
import System

/// A connection to a PostgreSQL database, which closes itself when nothing uses it any more.
///
/// Its calls block, so it belongs on a thread of its own; only one thread at a time may use it. After a failure that broke the
/// connection, every call fails.
package final class PostgresConnection {
    let handle: OpaquePointer
    /// The names of the prepared statements, by their SQL.
    private var prepared: [String: String] = [:]

    /// Connects and logs in.
    ///
    /// - Parameters:
    ///   - name: is shown in the server's list of connections.
    ///   - timeout: how long the server may take.
    package init(_ address: PostgresAddress, name: String, timeout: Duration = .seconds(10)) throws(PostgresError) {
        // Later settings have precedence: those of the address over the first ones, and the encoding over all.
        let settings: [(String, String)] = [
            ("application_name", name), ("keepalives_idle", "30"), ("keepalives_interval", "10"),
            ("keepalives_count", "3"), ("tcp_user_timeout", "60000"), ("dbname", address.text),
            ("client_encoding", "UTF8"),
        ]
        let texts = settings.map { (strdup($0.0), strdup($0.1)) }
        defer {
            for (key, value) in texts {
                free(key)
                free(value)
            }
        }
        let keys = texts.map { UnsafePointer($0.0) } + [nil]
        let values = texts.map { UnsafePointer($0.1) } + [nil]
        guard let handle = PQconnectStartParams(keys, values, 1) else {
            throw PostgresError(.transient, "out of memory")
        }
        self.handle = handle
        tgp_pg_silence(handle)
        // With this verbosity the text of an error begins with its SQLSTATE, which is all that a failed login offers.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        try connect(to: address, timeout)
        PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
    }

    deinit { PQfinish(handle) }

    private func connect(to address: PostgresAddress, _ timeout: Duration) throws(PostgresError) {
        let deadline = ContinuousClock.now + timeout
        var step = PGRES_POLLING_WRITING
        while step != PGRES_POLLING_OK {
            guard PQstatus(handle) != CONNECTION_BAD, step != PGRES_POLLING_FAILED else {
                throw PostgresConnection.loginFailure(text: String(cString: PQerrorMessage(handle)))
                    .prefixed("unable to connect to \(address)")
            }
            let left = (deadline - .now) / .milliseconds(1)
            var set = pollfd(
                fd: PQsocket(handle), events: Int16(step == PGRES_POLLING_READING ? POLLIN : POLLOUT), revents: 0)
            guard left > 0, poll(&set, 1, Int32(clamping: Int64(left.rounded(.up)))) > 0 || errno == EINTR else {
                throw PostgresError(.transient, "unable to connect to \(address): no answer within \(timeout)")
            }
            step = PQconnectPoll(handle)
        }
    }

    /// Reads the error of a login: `connection to server … failed: FATAL:  28P01: password authentication failed …`.
    static func loginFailure(text: String) -> PostgresError {
        let words = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("LOCATION:") }
            .joined(separator: " ")
        let state = words.split(separator: " ").first { word in
            word.utf8.count == 6 && word.last == ":"
                && word.utf8.dropLast().allSatisfy { (48...57).contains($0) || (65...90).contains($0) }
                && word.utf8.contains { (48...57).contains($0) }
        }.map { String($0.dropLast()) }
        if let state { return PostgresError(state: state, words.replacing("\(state): ", with: "")) }
        if words.contains("no password supplied") { return PostgresError(.authentication, words) }
        // libpq has no code for an address that it cannot read.
        let isMisspelt = [
            "invalid ", "missing ", "unexpected ", "end of string ", "IPv6 host address ", "extra ", "forbidden value ",
            "could not match ",
        ].contains { words.hasPrefix($0) }
        return PostgresError(isMisspelt ? .configuration : .transient, words)
    }

    /// Is true if the connection is lost.
    package var isBroken: Bool { PQstatus(handle) != CONNECTION_OK }

    /// A setting that the server reported at the login, such as `server_encoding`.
    package func reported(_ name: String) -> String? { PQparameterStatus(handle, name).map { String(cString: $0) } }

    /// The server's version, such as 150018 for 15.18.
    package var serverVersion: Int { Int(PQserverVersion(handle)) }

    /// A way for other threads to end the statement that is running.
    package var canceller: PostgresCanceller { PostgresCanceller(PQgetCancel(handle)) }

    // MARK: Statements

    /// Executes one or several statements that have no parameters; rows of results are dropped.
    package func execute(_ sql: String) throws(PostgresError) {
        let result = PostgresResult(PQexec(handle, sql))
        _ = try result.checked(self)
    }

    /// Runs one statement, which stays prepared for the next call with the same SQL; meant for a limited number of constant texts.
    ///
    /// - Parameter row: is called for each row, which is valid until it returns.
    /// - Returns: the number of rows that were changed, or returned.
    @discardableResult
    package func run(
        _ sql: String, _ values: [PostgresValue] = [], row: (PostgresRow) -> Void = { _ in }
    ) throws(PostgresError) -> Int {
        let name = try prepare(sql)
        let result = PostgresResult(
            PostgresValue.withPointers(values) { count, pointers, sizes, formats in
                PQexecPrepared(handle, name, count, pointers, sizes, formats, 0)
            })
        let changed = try result.checked(self)
        for index in 0..<PQntuples(result.handle) { row(PostgresRow(result.handle, index)) }
        return changed
    }

    /// Runs one statement, and hands over its rows while they arrive, so that their number does not matter for memory.
    ///
    /// - Parameter row: returns false to drop the rest.
    package func stream(
        _ sql: String, _ values: [PostgresValue] = [], row: (PostgresRow) throws -> Bool
    ) throws {
        let name = try prepare(sql)
        let isSent = PostgresValue.withPointers(values) { count, pointers, sizes, formats in
            PQsendQueryPrepared(handle, name, count, pointers, sizes, formats, 0)
        }
        guard isSent == 1, PQsetSingleRowMode(handle) == 1 else { throw failure() }
        var isWanted = true
        var first: (any Error)?
        while let next = PQgetResult(handle) {
            let result = PostgresResult(next)
            do {
                _ = try result.checked(self)
                if isWanted, PQntuples(result.handle) > 0 { isWanted = try row(PostgresRow(result.handle, 0)) }
            } catch {
                first = first ?? error
                isWanted = false
            }
        }
        if let first { throw first }
    }

    private func prepare(_ sql: String) throws(PostgresError) -> String {
        if let name = prepared[sql] { return name }
        let name = "s\(prepared.count)"
        _ = try PostgresResult(PQprepare(handle, name, sql, 0, nil)).checked(self)
        prepared[sql] = name
        return name
    }

    // MARK: Transactions

    /// Runs `body` in a transaction: all of its changes are kept, or, when it throws, none.
    package func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try execute("BEGIN")
        let value: Value
        do { value = try body() } catch {
            try? execute("ROLLBACK")
            throw error
        }
        // The server would answer the COMMIT of a failed transaction with a rollback, which is no error.
        guard PQtransactionStatus(handle) != PQTRANS_INERROR else {
            try execute("ROLLBACK")
            throw PostgresError(.other, "a statement of the transaction has failed")
        }
        try execute("COMMIT")
        return value
    }

    // MARK: Copying

    /// Sends rows in PostgreSQL's binary form.
    ///
    /// - Parameter sql: `COPY … FROM STDIN (FORMAT binary)`.
    package func copyIn(_ sql: String, _ write: (inout CopyWriter) throws(PostgresError) -> Void) throws(PostgresError)
    {
        let begun = PostgresResult(PQexec(handle, sql))
        guard PQresultStatus(begun.handle) == PGRES_COPY_IN else {
            _ = try begun.checked(self)
            throw PostgresError(.other, "the statement copies nothing in")
        }
        do throws(PostgresError) {
            var writer = CopyWriter(self)
            try write(&writer)
            try writer.finish()
            guard PQputCopyEnd(handle, nil) == 1 else { throw failure() }
        } catch {
            PQputCopyEnd(handle, "given up")
            // The server may have told why it does not want more.
            if let told = drain() { throw told }
            throw error
        }
        if let told = drain() { throw told }
    }

    /// Reads the results until the connection is ready for the next statement; returns the first error among them.
    private func drain() -> PostgresError? {
        var first: PostgresError?
        while let next = PQgetResult(handle) {
            let result = PostgresResult(next)
            do throws(PostgresError) { _ = try result.checked(self) } catch { first = first ?? error }
            // A broken connection would return the same result for ever.
            if PQresultStatus(next) == PGRES_COPY_IN || PQresultStatus(next) == PGRES_COPY_OUT { break }
        }
        return first
    }

    func put(_ bytes: UnsafeRawBufferPointer) throws(PostgresError) {
        guard PQputCopyData(handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count)) == 1
        else { throw failure() }
    }

    /// Hands over the rows of `COPY … TO STDOUT (FORMAT binary)` while they arrive.
    package func copyOut(_ sql: String, row: (UnsafeRawBufferPointer) -> Void) throws(PostgresError) {
        let begun = PostgresResult(PQexec(handle, sql))
        guard PQresultStatus(begun.handle) == PGRES_COPY_OUT else {
            _ = try begun.checked(self)
            throw PostgresError(.other, "the statement copies nothing out")
        }
        while true {
            var bytes: UnsafeMutablePointer<CChar>?
            let count = PQgetCopyData(handle, &bytes, 0)
            guard count > 0 else { break }
            row(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            PQfreemem(bytes)
        }
        if let told = drain() { throw told }
    }

    /// Makes the error of a call that failed without a result.
    func failure() -> PostgresError {
        let words = String(cString: PQerrorMessage(handle)).split(whereSeparator: \.isNewline).joined(separator: " ")
        return PostgresError(isBroken ? .transient : .other, words.isEmpty ? "the connection is lost" : words)
    }
}

/// Ends the statement that a connection is running, from any thread.
package final class PostgresCanceller: @unchecked Sendable {
    private let handle: OpaquePointer?

    init(_ handle: OpaquePointer?) { self.handle = handle }

    deinit { PQfreeCancel(handle) }

    package func cancel() {
        var message = [CChar](repeating: 0, count: 256)
        if let handle { PQcancel(handle, &message, 256) }
    }
}
