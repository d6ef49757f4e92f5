import MTProto
import SQLite

extension AccountSession {
    /// Reads a session file of Telethon, or of Pyrogram and the projects that continue it (Hydrogram, Kurigram): a SQLite database.
    ///
    /// - Throws: `AccountError`, `notImportable`; also if another program uses the file.
    package init(database path: String) throws(AccountError) {
        let unknown = AccountError(.notImportable, "\(path) is not a session file of Telethon, Pyrogram or Hydrogram")
        let row: [String: SQLiteValue]?
        do throws(SQLiteError) {
            row = try AccountSession.row(ofDatabase: path)
        } catch {
            switch error.code {
            case .busy: throw AccountError(.notImportable, "\(path) is in use: stop the program that has it open")
            case .cannotOpen: throw AccountError(.notImportable, "\(path) cannot be opened: \(error.reason)")
            default: throw unknown
            }
        }
        guard let row, case .integer(let number)? = row["dc_id"], (1...9).contains(number) else { throw unknown }
        guard case .blob(let bytes)? = row["auth_key"], let key = AuthKey(bytes), key.isMade else {
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

    /// Returns the first row of the table `sessions`, as far as its columns matter here; nil when there is none, or when the table
    /// is not that of a session file.
    private static func row(ofDatabase path: String) throws(SQLiteError) -> [String: SQLiteValue]? {
        let database = try SQLiteDatabase(path, .readOnly, busyTimeout: .seconds(2))
        // No value of a session file is longer; an unknown file must not exhaust the memory.
        database.limitValues(toBytes: 1 << 20)
        var columns: Set<String> = []
        try database.run("SELECT name FROM pragma_table_info('sessions')") { columns.insert($0.text(0)) }
        guard columns.isSuperset(of: ["dc_id", "auth_key"]) else { return nil }
        let wanted = ["dc_id", "auth_key", "test_mode", "user_id", "is_bot", "server_address", "port"]
            .filter(columns.contains)
        var found: [String: SQLiteValue]?
        try database.run("SELECT \(wanted.joined(separator: ", ")) FROM sessions LIMIT 1") { row in
            found = [:]
            for (index, name) in wanted.enumerated() { found?[name] = row.value(index) }
        }
        return found
    }
}
