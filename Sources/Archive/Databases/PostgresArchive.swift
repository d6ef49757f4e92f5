import PostgreSQL
import System

/// An archive in PostgreSQL: rows are copied to a temporary table, and merged from there.
final class PostgresArchive: ArchiveDatabase {
    private static let stage = "tgpipe_stage"
    private static let stagedUsers = "tgpipe_stage_users"

    let dialect = SQLDialect.postgres
    let rawForm: RawForm
    private(set) var changedMessages = 0
    private let connection: PostgresConnection
    private let sql: MessageSQL
    private let codec = RawCodec()
    private let copier: RowCopy
    private let secondCopy: SecondCopy.Opening?
    /// Is false if the table has policies for its rows, with which COPY cannot write to it.
    private let canCopyDirectly: Bool

    /// - Parameters:
    ///   - wanted: the form in which messages are to be kept; nil for that of the archive, or text for a new one.
    ///   - creates: whether missing tables are made, and rows are to be stored.
    /// - Throws: `ArchiveError` (78) if the database does not fit, `PostgresError`.
    init(_ address: PostgresAddress, name: String, wanted: RawForm?, creates: Bool) throws {
        connection = try PostgresConnection(address, name: name)
        let checks = PostgresChecks(connection, address)
        do {
            try checks.prepareSession()
            rawForm = try checks.open(wanted: wanted, creates: creates)
            canCopyDirectly = try creates && !checks.hasRowPolicies()
            if creates { try checks.requireRights() }
        } catch let error as PostgresError where error.code == .configuration {
            throw checks.refusal(of: error)
        }
        sql = MessageSQL(dialect: .postgres, rawForm: rawForm)
        copier = RowCopy(sql: sql, codec: codec)
        // For the other forms, the server's work on one connection is not what takes longest.
        secondCopy = rawForm == .jsonb ? SecondCopy.Opening(address, name: name, sql) : nil
        if rawForm == .zstd { try loadDictionaries(into: codec) }
    }

    /// A way for other threads to end the statement that is running.
    var canceller: PostgresCanceller { connection.canceller }

    func run(_ sql: String, _ values: [ArchiveValue], row: (any ArchiveRow) throws -> Void) throws -> Int {
        var failure: (any Error)?
        let count = try connection.run(sql, values.map(PostgresValue.init)) { found in
            guard failure == nil else { return }
            do { try row(found) } catch { failure = error }
        }
        if let failure { throw failure }
        return count
    }

    func stream(_ sql: String, _ values: [ArchiveValue], row: (any ArchiveRow) throws -> Bool) throws {
        try connection.stream(sql, values.map(PostgresValue.init)) { try row($0) }
    }

    func streamIDs(of chat: ChatKey, _ take: (Int64) -> Void) throws {
        // Rows in the binary form take a fraction of the time of a result's rows.
        try connection.copyOut(
            "COPY (SELECT message_id FROM messages WHERE chat_id = \(chat.chatID) AND owner_id = \(chat.ownerID) "
                + "ORDER BY message_id) TO STDOUT (FORMAT binary)"
        ) { row in
            if let id = row.onlyInteger { take(id) }
        }
    }

    func execute(_ sql: String) throws { try connection.execute(sql) }

    func transaction<Value>(_ body: () throws -> Value) throws -> Value { try connection.transaction(body) }

    func snapshot<Value>(_ body: () throws -> Value) throws -> Value {
        try connection.transaction {
            try connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return try body()
        }
    }

    func lockRanges(of chat: ChatKey) throws {
        // Two numbers of 32 bits name a lock; a collision only makes a transaction wait.
        let number = chat.chatID &* 31 &+ chat.ownerID
        try run(
            "SELECT pg_advisory_xact_lock(hashtext('tgpipe ranges'), hashtext($1))", [.text(String(number))])
    }

    func failure(of error: any Error) -> StoreFailure {
        if connection.isBroken { return .transient }
        guard let error = error as? PostgresError else { return .fatal }
        return switch error.code {
        case .transient: .transient
        case .value: .row
        default: .fatal
        }
    }

    func rawText(_ row: any ArchiveRow, _ column: Int) throws -> [UInt8]? {
        guard rawForm != .none, !row.isNull(column) else { return nil }
        return rawForm == .zstd ? try codec.unpack(row.blob(column)) : Array(row.text(column).utf8)
    }

    // MARK: Storing

    func store(_ rows: RowSelection, _ options: StoringRows) throws -> [MessageKey] {
        if rawForm == .zstd { try prepare(codec, for: rows) }
        if options.areNew, !options.keepsCounters, canCopyDirectly {
            return try copy(rows, needsKeys: options.needsKeys)
        }
        return try merge(rows, options)
    }

    /// Copies rows into the table itself. That takes half of the server's time of a merge, and fails if one of them exists.
    private func copy(_ rows: RowSelection, needsKeys: Bool) throws -> [MessageKey] {
        if needsKeys || rows.count < SecondCopy.leastRows {
            try copier.copy(rows, to: "messages", over: connection)
        } else {
            try copyHalves(rows)
        }
        changedMessages += rows.count
        if rows.keys.contains(where: { $0.ownerID != 0 }) {
            for run in IDRun.runs(of: rows.keys).runs where run.chat.ownerID != 0 {
                try connection.run(
                    MessageSQL.applyDeletions,
                    [
                        .integer(run.chat.ownerID), .integer(run.low), .integer(run.high), .integer(run.chat.chatID),
                    ])
            }
        }
        return needsKeys ? Array(rows.keys) : []
    }

    /// Copies rows over both connections at the same time, if there are two.
    private func copyHalves(_ rows: RowSelection) throws {
        guard let second = secondCopy?.open() else {
            return try copier.copy(rows, to: "messages", over: connection)
        }
        let middle = rows.startIndex + rows.count / 2
        second.begin(rows[middle..<rows.endIndex])
        let own = Result { try copier.copy(rows[rows.startIndex..<middle], to: "messages", over: connection) }
        // Until it has ended, the memory of the rows is in use.
        let other = second.finish()
        try own.get()
        guard case .failure(let error) = other else { return }
        secondCopy?.close()
        // The rows are merged then, over one connection.
        throw PostgresError(.value, "the second connection failed: \((error as? PostgresError)?.message ?? "\(error)")")
    }

    /// Stages rows, and inserts or updates those of the table.
    private func merge(_ rows: RowSelection, _ options: StoringRows) throws -> [MessageKey] {
        // After the first time this is a look into a list; the table is empty after each transaction.
        try connection.execute("CREATE TEMP TABLE IF NOT EXISTS \(Self.stage) (LIKE messages) ON COMMIT DELETE ROWS")
        try copier.copy(rows, to: Self.stage, over: connection)
        let columns = sql.columns.joined(separator: ", ")
        var keys: [MessageKey] = []
        let insert = "INSERT INTO messages (\(columns)) SELECT \(columns) FROM \(Self.stage) ON CONFLICT DO NOTHING"
        let inserted =
            if options.needsKeys {
                try connection.run("\(insert) RETURNING chat_id, message_id, owner_id") { row in
                    keys.append(
                        MessageKey(chatID: row.integer(0), messageID: row.integer(1), ownerID: row.integer(2)))
                }
            } else {
                try connection.run(insert)
            }
        changedMessages += inserted
        if inserted < rows.count {
            try connection.run(sql.keepVersions(from: Self.stage))
            changedMessages += try connection.run(sql.update(from: Self.stage))
        }
        if rows.keys.contains(where: { $0.ownerID != 0 }) { try connection.run(sql.applyDeletions(from: Self.stage)) }
        if options.keepsCounters, try connection.run(sql.keepCounters(from: Self.stage)) > 0 {
            try connection.run(sql.dropRepeatedCounters(from: Self.stage))
        }
        return keys
    }

    func storeUsers(_ users: [Int64: UserRow]) throws {
        guard !users.isEmpty else { return }
        try connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS \(Self.stagedUsers) (LIKE users) ON COMMIT DELETE ROWS")
        let columns = "user_id, is_bot, first_name, last_name, username, seen_at"
        try connection.copyIn("COPY \(Self.stagedUsers) (\(columns)) FROM STDIN (FORMAT binary)") {
            writer throws(PostgresError) in
            for (id, user) in users {
                try writer.begin(columns: 6)
                writer.integer(id)
                writer.boolean(user.isBot)
                try writer.text(user.firstName)
                try writer.text(user.lastName)
                try writer.text(user.username)
                writer.time(microseconds: user.seenAt)
            }
        }
        // Sorted, so that two processes do not wait for each other in turn.
        try connection.run(
            "INSERT INTO users AS u (\(columns)) SELECT \(columns) FROM \(Self.stagedUsers) ORDER BY user_id "
                + UserSQL.onConflict)
    }
}

enum UserSQL {
    private static let columns = ["is_bot", "first_name", "last_name", "username"]

    /// Keeps what was told last about a user, and when it was told first.
    static let onConflict: String = {
        let differs = columns.map { "u.\($0) IS DISTINCT FROM EXCLUDED.\($0)" }.joined(separator: " OR ")
        let assignments = (columns + ["seen_at"]).map { "\($0) = EXCLUDED.\($0)" }.joined(separator: ", ")
        return "ON CONFLICT (user_id) DO UPDATE SET \(assignments) WHERE CASE WHEN \(differs) "
            + "THEN EXCLUDED.seen_at > u.seen_at ELSE EXCLUDED.seen_at < u.seen_at END"
    }()
}

extension PostgresRow: ArchiveRow {}

extension PostgresValue {
    fileprivate init(_ value: ArchiveValue) {
        self =
            switch value {
            case .null: .null
            case .integer(let number): .integer(number)
            case .text(let text): .text(text)
            case .blob(let bytes): .blob(bytes)
            }
    }
}

extension StaticString {
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}
