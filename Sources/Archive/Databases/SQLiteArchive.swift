import SQLite
import System

/// An archive in a SQLite file.
final class SQLiteArchive: ArchiveDatabase {
    let dialect = SQLDialect.sqlite
    let rawForm: RawForm
    private(set) var changedMessages = 0
    private let database: SQLiteDatabase
    private let sql: MessageSQL
    private let codec = RawCodec()
    private let syncsLater: Bool
    private var statements: Statements?

    private struct Statements {
        let insert: MessageStatement
        let keepVersions: MessageStatement
        let update: MessageStatement
        let applyDeletions: MessageStatement
        let keepCounters: MessageStatement
        let dropRepeatedCounters: MessageStatement
    }

    /// - Parameters:
    ///   - wanted: the form in which messages are to be kept; nil for that of the archive, or text for a new one.
    ///   - creates: whether a missing file and missing tables are made.
    ///   - syncsLater: whether commits need not wait for the disk, because `commitSync` is used.
    /// - Throws: `ArchiveError` (78) if the file does not fit, `SQLiteError`.
    init(_ path: String, wanted: RawForm?, creates: Bool, syncsLater: Bool) throws {
        self.syncsLater = syncsLater
        (database, rawForm) = try SQLiteArchive.open(path, wanted: wanted, creates: creates)
        // The log and the file are still written in the right order, so that the file stays whole in any case.
        if syncsLater { try database.execute("PRAGMA synchronous=NORMAL") }
        sql = MessageSQL(dialect: .sqlite, rawForm: rawForm)
        if rawForm == .zstd { try loadDictionaries(into: codec) }
    }

    private static func open(
        _ path: String, wanted: RawForm?, creates: Bool
    ) throws -> (SQLiteDatabase, RawForm) {
        do {
            let database = try SQLiteDatabase(
                path, creates ? .createPrivate : .readWrite, busyTimeout: .seconds(10))
            return (database, try open(database, path, wanted: wanted, creates: creates))
        } catch let error as SQLiteError where error.code == .cannotOpen && !creates {
            throw ArchiveError(missingIn: path)
        } catch let error as SQLiteError where error.code == .notADatabase || error.code == .corrupt {
            throw ArchiveError(.configuration, "\(path) cannot be used: \(error.message)")
        } catch let error as SQLiteError where error.code == .cannotOpen || error.code == .readOnly {
            throw ArchiveError(error.exitStatus, "\(path) cannot be used: \(error.message)")
        }
    }

    private static func open(
        _ database: SQLiteDatabase, _ path: String, wanted: RawForm?, creates: Bool
    ) throws -> RawForm {
        // Messages are longer than rows usually are. Larger pages hold more of them, and so take fewer calls of the system;
        // the log grows to 32 MB before it is moved to the file, for which the disk has to be waited for twice. The size of pages
        // counts for a new file only.
        try database.execute(
            """
            PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-5000; \
            PRAGMA wal_autocheckpoint=4000
            """)
        var encoding = ""
        try database.run("PRAGMA encoding") { encoding = $0.text(0) }
        guard encoding == "UTF-8" else {
            throw ArchiveError(.configuration, "\(path) cannot be used: its encoding is \(encoding), not UTF-8")
        }
        return try database.transaction(creates ? .immediate : .deferred) {
            var tables: Set<String> = []
            try database.run("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')") {
                tables.insert($0.text(0))
            }
            if tables.contains("tgpipe_archive") {
                var facts: (version: Int64, raw: String)?
                try database.run("SELECT version, raw FROM tgpipe_archive") { facts = ($0.integer(0), $0.text(1)) }
                let known = try ArchiveFacts(version: facts?.version, raw: facts?.raw, wanted: wanted, place: path)
                if known.isOld, !creates { throw known.refusal(in: path) }
                if known.isOld {
                    try checkAreFree(Schema.tables(addedSince: known.version), tables, path)
                    let schema = Schema(dialect: .sqlite, rawForm: known.rawForm)
                    for statement in schema.upgrades(from: known.version) { try database.execute(statement) }
                    try database.run("UPDATE tgpipe_archive SET version = ?1", .integer(Schema.version))
                }
                return known.rawForm
            }
            guard creates else {
                throw ArchiveError(missingIn: path)
            }
            try checkAreFree(Schema.tables + ["messages_json"], tables, path)
            let form = wanted ?? .text
            for statement in Schema(dialect: .sqlite, rawForm: form).statements { try database.execute(statement) }
            try database.run(
                "INSERT INTO tgpipe_archive (version, raw) VALUES (?1, ?2)", .integer(Schema.version),
                .text(form.rawValue))
            return form
        }
    }

    private static func checkAreFree(_ names: [String], _ tables: Set<String>, _ path: String) throws {
        guard let taken = names.first(where: tables.contains) else { return }
        throw ArchiveError(.configuration, "\(path) cannot be used: the table \(taken) is another program's")
    }

    func run(_ sql: String, _ values: [ArchiveValue], row: (any ArchiveRow) throws -> Void) throws -> Int {
        var failure: (any Error)?
        var count = 0
        var borrowed: BorrowedRow?
        try database.run(sql, values.map(SQLiteValue.init)) { found in
            count += 1
            guard failure == nil else { return }
            let current = borrowed ?? BorrowedRow(found)
            borrowed = current
            do { try row(current) } catch { failure = error }
        }
        if let failure { throw failure }
        return count > 0 ? count : database.changedRows
    }

    func stream(_ sql: String, _ values: [ArchiveValue], row: (any ArchiveRow) throws -> Bool) throws {
        var isWanted = true
        _ = try run(sql, values) { found in
            if isWanted { isWanted = try row(found) }
        }
    }

    func streamIDs(of chat: ChatKey, _ take: (Int64) -> Void) throws {
        try database.run(
            "SELECT message_id FROM messages WHERE chat_id = ?1 AND owner_id = ?2 ORDER BY message_id",
            .integer(chat.chatID), .integer(chat.ownerID)
        ) { take($0.integer(0)) }
    }

    func execute(_ sql: String) throws { try database.execute(sql) }

    func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try database.transaction(.immediate, body)
    }

    func snapshot<Value>(_ body: () throws -> Value) throws -> Value { try database.transaction(.deferred, body) }

    /// Does nothing: a transaction of SQLite is the only one that writes.
    func lockRanges(of chat: ChatKey) {}

    func commitSync() throws -> (@Sendable () throws -> Void)? {
        guard syncsLater else { return nil }
        let log = try SQLiteLog(of: database)
        return { try log.sync() }
    }

    func failure(of error: any Error) -> StoreFailure {
        guard let error = error as? SQLiteError else { return .fatal }
        return switch error.code {
        case .busy, .full: .transient
        case .constraint, .tooBig: .row
        default: .fatal
        }
    }

    func rawText(_ row: any ArchiveRow, _ column: Int) throws -> [UInt8]? {
        guard rawForm != .none, !row.isNull(column) else { return nil }
        return rawForm == .zstd ? try codec.unpack(row.blob(column)) : row.blob(column)
    }

    // MARK: Storing

    private func prepared() throws -> Statements {
        if let statements { return statements }
        let columns = sql.columns
        let values = columns.indices.map { "?\($0 + 1)" }
        let source = "(SELECT \(zip(values, columns).map { "\($0) AS \($1)" }.joined(separator: ", ")))"
        let prepare = { [database, rawForm, codec] (sql: String) in
            MessageStatement(try database.statement(sql), rawForm, codec)
        }
        let new = Statements(
            insert: try prepare(
                "INSERT OR IGNORE INTO messages (\(columns.joined(separator: ", "))) "
                    + "VALUES (\(values.joined(separator: ", ")))"),
            keepVersions: try prepare(sql.keepVersions(from: source)),
            update: try prepare(sql.update(from: source)),
            applyDeletions: try prepare(sql.applyDeletions(from: source)),
            keepCounters: try prepare(sql.keepCounters(from: source)),
            dropRepeatedCounters: try prepare(sql.dropRepeatedCounters(from: source)))
        statements = new
        return new
    }

    func store(_ rows: RowSelection, _ options: StoringRows) throws -> [MessageKey] {
        if rawForm == .zstd { try prepare(codec, for: rows) }
        let arena = rows.arena
        let statements = try prepared()
        // Another process may have made the index meanwhile.
        let isSearched = try first("SELECT 1 FROM sqlite_master WHERE name = 'messages_search'", [], { _ in 1 }) != nil
        defer {
            for statement in [
                statements.insert, statements.keepVersions, statements.update, statements.applyDeletions,
                statements.keepCounters, statements.dropRepeatedCounters,
            ] { statement.clearBindings() }
        }
        var keys: [MessageKey] = []
        try rows.forEachRow { row in
            try statements.insert.run(row, arena)
            let isNew = database.changedRows > 0
            if isNew, options.needsKeys { keys.append(row.key) }
            if !isNew {
                try statements.keepVersions.run(row, arena)
                try statements.update.run(row, arena)
            }
            if database.changedRows > 0 { changedMessages += 1 }
            if isSearched, database.changedRows > 0 {
                try database.run(
                    SearchIndex.refresh, .integer(row.key.chatID), .integer(row.key.messageID),
                    .integer(row.key.ownerID))
            }
            if row.key.ownerID != 0 { try statements.applyDeletions.run(row, arena) }
            if options.keepsCounters, row.counters != nil {
                try statements.keepCounters.run(row, arena)
                if database.changedRows > 0 { try statements.dropRepeatedCounters.run(row, arena) }
            }
        }
        return keys
    }

    func storeUsers(_ users: [Int64: UserRow]) throws {
        for (id, user) in users {
            try run(
                "INSERT INTO users AS u (user_id, is_bot, first_name, last_name, username, seen_at) "
                    + "VALUES ($1, $2, $3, $4, $5, $6) " + UserSQL.onConflict,
                [
                    .integer(id), .integer(user.isBot ? 1 : 0), ArchiveValue(user.firstName),
                    ArchiveValue(user.lastName), ArchiveValue(user.username), .integer(user.seenAt),
                ])
        }
    }
}

/// Hands the rows of a statement over, one after the other.
private final class BorrowedRow: ArchiveRow {
    private let row: SQLiteRow

    init(_ row: borrowing SQLiteRow) { self.row = row.followed }

    func isNull(_ column: Int) -> Bool { row.isNull(column) }
    func integer(_ column: Int) -> Int64 { row.integer(column) }
    func text(_ column: Int) -> String { row.text(column) }
    func blob(_ column: Int) -> [UInt8] { row.blob(column) }
}

extension SQLiteValue {
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
