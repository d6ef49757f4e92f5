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
    private var statements: Statements?

    private struct Statements {
        let insert: SQLiteStatement
        let keepVersions: SQLiteStatement
        let update: SQLiteStatement
        let applyDeletions: SQLiteStatement
        let keepCounters: SQLiteStatement
        let dropRepeatedCounters: SQLiteStatement
    }

    /// - Parameters:
    ///   - wanted: the form in which messages are to be kept; nil for that of the archive, or text for a new one.
    ///   - creates: whether a missing file and missing tables are made.
    /// - Throws: `ArchiveError` (78) if the file does not fit, `SQLiteError`.
    init(_ path: String, wanted: RawForm?, creates: Bool) throws {
        (database, rawForm) = try SQLiteArchive.open(path, wanted: wanted, creates: creates)
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
        }
    }

    private static func open(
        _ database: SQLiteDatabase, _ path: String, wanted: RawForm?, creates: Bool
    ) throws -> RawForm {
        try database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000")
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
                    let schema = Schema(dialect: .sqlite, rawForm: known.rawForm)
                    for statement in schema.upgrades(from: known.version) { try database.execute(statement) }
                    try database.run("UPDATE tgpipe_archive SET version = ?1", .integer(Schema.version))
                }
                return known.rawForm
            }
            guard creates else {
                throw ArchiveError(missingIn: path)
            }
            if let taken = (Schema.tables + ["messages_json"]).first(where: tables.contains) {
                throw ArchiveError(
                    .configuration, "\(path) cannot be used: the table \(taken) is another program's")
            }
            let form = wanted ?? .text
            for statement in Schema(dialect: .sqlite, rawForm: form).statements { try database.execute(statement) }
            try database.run(
                "INSERT INTO tgpipe_archive (version, raw) VALUES (?1, ?2)", .integer(Schema.version),
                .text(form.rawValue))
            return form
        }
    }

    func run(_ sql: String, _ values: [ArchiveValue], row: (any ArchiveRow) throws -> Void) throws -> Int {
        var failure: (any Error)?
        var count = 0
        try database.run(sql, values.map(SQLiteValue.init)) { found in
            count += 1
            guard failure == nil else { return }
            do { try row(BorrowedRow(found)) } catch { failure = error }
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
        let new = Statements(
            insert: try database.statement(
                "INSERT OR IGNORE INTO messages (\(columns.joined(separator: ", "))) "
                    + "VALUES (\(values.joined(separator: ", ")))"),
            keepVersions: try database.statement(sql.keepVersions(from: source)),
            update: try database.statement(sql.update(from: source)),
            applyDeletions: try database.statement(sql.applyDeletions(from: source)),
            keepCounters: try database.statement(sql.keepCounters(from: source)),
            dropRepeatedCounters: try database.statement(sql.dropRepeatedCounters(from: source)))
        statements = new
        return new
    }

    func store(
        _ rows: ArraySlice<MessageRow>, in arena: ByteArena, needsKeys: Bool, keepsCounters: Bool
    ) throws -> [MessageKey] {
        if rawForm == .zstd { try prepare(codec, for: rows, in: arena) }
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
        for row in rows {
            try run(statements.insert, row, arena)
            let isNew = database.changedRows > 0
            if isNew, needsKeys { keys.append(row.key) }
            if !isNew {
                try run(statements.keepVersions, row, arena)
                try run(statements.update, row, arena)
            }
            if database.changedRows > 0 { changedMessages += 1 }
            if isSearched, database.changedRows > 0 {
                try database.run(
                    SearchIndex.refresh, .integer(row.key.chatID), .integer(row.key.messageID),
                    .integer(row.key.ownerID))
            }
            if row.key.ownerID != 0 { try run(statements.applyDeletions, row, arena) }
            if keepsCounters, row.counters != nil {
                try run(statements.keepCounters, row, arena)
                if database.changedRows > 0 { try run(statements.dropRepeatedCounters, row, arena) }
            }
        }
        return keys
    }

    private func run(_ statement: SQLiteStatement, _ row: MessageRow, _ arena: ByteArena) throws(SQLiteError) {
        let content = row.content
        let integers: [Int64?] = [
            row.key.chatID, row.key.messageID, row.key.ownerID, content?.date, content?.editDate, row.deletedAt,
            content?.seenAt, row.counters?.countedAt, content?.pts, content?.accountID, content?.senderID,
            content?.replyToID, content?.topicID, content?.albumID, content?.forwardFromID, content?.forwardMessageID,
            content?.forwardDate, row.counters?.views, row.counters?.forwards, row.counters?.replies,
        ]
        for (index, value) in integers.enumerated() {
            if let value { try statement.bind(value, at: index + 1) } else { try statement.bindNull(at: index + 1) }
        }
        let texts = [
            content.flatMap { arena.bytes($0.text) }, content.flatMap { arena.bytes($0.forwardName) },
            content?.service.map(\.bytes), content?.media.map(\.bytes),
            content.flatMap { arena.bytes($0.fileUniqueID) }, row.counters.flatMap { arena.bytes($0.reactions) },
        ]
        for (index, value) in texts.enumerated() {
            let parameter = integers.count + index + 1
            if let value {
                try statement.bindText(borrowing: value, at: parameter)
            } else {
                try statement.bindNull(at: parameter)
            }
        }
        let parameter = integers.count + texts.count + 1
        switch (rawForm, content.flatMap { arena.bytes($0.raw) }) {
        case (.none, _): break
        case (_, nil): try statement.bindNull(at: parameter)
        case (.zstd, let raw?): try statement.bindBlob(borrowing: codec.pack(raw), at: parameter)
        case (_, let raw?): try statement.bindText(borrowing: raw, at: parameter)
        }
        try statement.run()
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

/// Hands a row of SQLite over, which may not be kept.
private struct BorrowedRow: ArchiveRow {
    private let values: [SQLiteValue]

    init(_ row: borrowing SQLiteRow) { values = (0..<row.columnCount).map { row.value($0) } }

    func isNull(_ column: Int) -> Bool { values[column] == .null }

    func integer(_ column: Int) -> Int64 {
        switch values[column] {
        case .integer(let number): number
        case .text(let text): Int64(text) ?? 0
        default: 0
        }
    }

    func text(_ column: Int) -> String {
        switch values[column] {
        case .integer(let number): String(number)
        case .double(let number): String(number)
        case .text(let text): text
        case .blob(let bytes): String(decoding: bytes, as: UTF8.self)
        case .null: ""
        }
    }

    func blob(_ column: Int) -> [UInt8] {
        if case .blob(let bytes) = values[column] { bytes } else { Array(text(column).utf8) }
    }
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
