import CSQLite
import MTProto

extension AccountSession {
    /// Reads a session file of Telethon, or of Pyrogram and what came of it (Hydrogram, Kurigram): a database of SQLite.
    ///
    /// - Throws: `AccountError`, `notImportable`, also when the file is in use.
    package init(database path: String) throws(AccountError) {
        let database = try SessionDatabase(path)
        let columns = try database.columns(of: "sessions")
        guard ["dc_id", "auth_key"].allSatisfy(columns.contains) else { throw database.unknown }
        let wanted = ["dc_id", "auth_key", "test_mode", "user_id", "is_bot", "server_address", "port"]
        guard let row = try database.row(wanted.filter(columns.contains)), case .integer(let number)? = row["dc_id"],
            (1...9).contains(number)
        else { throw database.unknown }
        guard case .bytes(let bytes)? = row["auth_key"], let key = AuthKey(bytes), key.isMade else {
            throw AccountError(.notImportable, "the session in \(path) is not logged in")
        }
        var address: ServerAddress?
        if case .text(let host)? = row["server_address"], case .integer(let port)? = row["port"],
            (1...65535).contains(port), !host.isEmpty, host.utf8.count < 256
        {
            address = ServerAddress(host, Int(port))
        }
        var userID: Int64?
        if case .integer(let id)? = row["user_id"], id > 0 { userID = id }
        self.init(
            dataCenter: Int(number), key: key, isTest: row["test_mode"] == .integer(1), address: address,
            userID: userID, isBot: row["is_bot"] == .integer(1))
    }
}

/// A database of somebody else's, which is only read.
private final class SessionDatabase {
    enum Value: Equatable {
        case none
        case integer(Int64)
        case text(String)
        case bytes([UInt8])
    }

    private let path: String
    private var handle: OpaquePointer?

    init(_ path: String) throws(AccountError) {
        self.path = path
        let status = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, nil)
        guard status == SQLITE_OK else { throw failure(status) }
        sqlite3_busy_timeout(handle, 2000)
        // What was made by strangers may define functions and views that are not meant to be run.
        sqlite3_exec(handle, "PRAGMA trusted_schema=OFF", nil, nil, nil)
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 1 << 20)
    }

    deinit { sqlite3_close(handle) }

    var unknown: AccountError {
        AccountError(.notImportable, "\(path) is no session file of Telethon, Pyrogram or Hydrogram")
    }

    private func failure(_ status: Int32) -> AccountError {
        switch status & 0xff {
        case SQLITE_BUSY, SQLITE_LOCKED:
            AccountError(.notImportable, "\(path) is in use: end the program that has it open")
        case SQLITE_CANTOPEN, SQLITE_PERM:
            AccountError(.notImportable, "\(path) cannot be opened: \(String(cString: sqlite3_errstr(status)))")
        default: unknown
        }
    }

    func columns(of table: String) throws(AccountError) -> Set<String> {
        var names: Set<String> = []
        try each("SELECT name FROM pragma_table_info('\(table)')", 1) { values in
            if case .text(let name) = values[0] { names.insert(name) }
        }
        return names
    }

    /// The first row of the table of sessions. The names are this file's own words.
    func row(_ columns: [String]) throws(AccountError) -> [String: Value]? {
        var row: [String: Value]?
        try each("SELECT \(columns.joined(separator: ", ")) FROM sessions LIMIT 1", columns.count) { values in
            row = Dictionary(uniqueKeysWithValues: zip(columns, values))
        }
        return row
    }

    private func each(_ query: String, _ count: Int, _ body: ([Value]) -> Void) throws(AccountError) {
        var statement: OpaquePointer?
        let prepared = sqlite3_prepare_v2(handle, query, -1, &statement, nil)
        guard prepared == SQLITE_OK else { throw failure(prepared) }
        defer { sqlite3_finalize(statement) }
        var status = sqlite3_step(statement)
        while status == SQLITE_ROW {
            body((0..<Int32(count)).map { SessionDatabase.value(statement, $0) })
            status = sqlite3_step(statement)
        }
        guard status == SQLITE_DONE else { throw failure(status) }
    }

    private static func value(_ statement: OpaquePointer?, _ column: Int32) -> Value {
        let count = Int(sqlite3_column_bytes(statement, column))
        switch sqlite3_column_type(statement, column) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, column))
        case SQLITE_TEXT:
            let text = UnsafeBufferPointer(start: sqlite3_column_text(statement, column), count: count)
            return .text(String(decoding: text, as: UTF8.self))
        case SQLITE_BLOB:
            return .bytes(Array(UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, column), count: count)))
        default: return .none
        }
    }
}
