import Glibc
import SQLite
import System
import TestSupport
import Testing

/// Tests with databases in real files.
struct SQLiteTests {
    private let folder: TemporaryFolder
    private var path: String { folder("data.db") }

    init() throws { folder = try TemporaryFolder() }

    private func table() throws -> SQLiteDatabase {
        let database = try SQLiteDatabase(path, .createPrivate)
        try database.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, value)")
        return database
    }

    private func values(_ database: SQLiteDatabase) throws -> [SQLiteValue] {
        var values: [SQLiteValue] = []
        try database.run("SELECT value FROM things ORDER BY id") { values.append($0.value(0)) }
        return values
    }

    @Test func `Each type comes back as it was stored, NUL characters and emptiness included`() throws {
        let database = try table()
        let all: [SQLiteValue] = [
            .null, .integer(.min), .integer(.max), .double(0.1), .text(""), .text("a\0b"), .text("räksmörgås 漢字"),
            .blob([]), .blob([0, 255, 0]),
        ]
        for value in all { try database.run("INSERT INTO things (value) VALUES (?)", value) }
        #expect(database.lastInsertedRowID == Int64(all.count))
        #expect(try values(database) == all)
        var types: [String] = []
        try database.run("SELECT typeof(value) FROM things ORDER BY id") { types.append($0.text(0)) }
        #expect(types == ["null", "integer", "integer", "real", "text", "text", "text", "blob", "blob"])
    }

    @Test func `A row converts between types, and hands bytes over without a copy`() throws {
        let database = try table()
        try database.run("SELECT 7, 2.5, 'seven', NULL, x'0102'") { row in
            #expect(row.columnCount == 5)
            #expect(row.integer(0) == 7 && row.double(1) == 2.5 && row.text(2) == "seven")
            #expect(
                row.isNull(3) && !row.isNull(4) && row.text(3).isEmpty && row.integer(3) == 0 && row.blob(3).isEmpty)
            #expect(row.withBytes(4) { Array($0) } == [1, 2] && row.withBytes(2) { $0.count } == 5)
        }
    }

    @Test func `A statement is reusable, with copied and with borrowed values`() throws {
        let database = try table()
        let insert = try database.statement("INSERT INTO things (value) VALUES (?)")
        try insert.run(.text("copied"))
        let text = Array("borrowed\0text".utf8)
        try text.withUnsafeBytes { bytes in
            try insert.bindText(borrowing: bytes, at: 1)
            try insert.run()
            try insert.bindBlob(borrowing: bytes, at: 1)
            try insert.run()
            try insert.bindText(borrowing: UnsafeRawBufferPointer(start: nil, count: 0), at: 1)
            try insert.run()
            insert.clearBindings()
        }
        try insert.run()
        try insert.bind(Int64(3), at: 1)
        try insert.run()
        try insert.bind(1.5, at: 1)
        try insert.run()
        try insert.bindNull(at: 1)
        try insert.run()
        let expected: [SQLiteValue] = [
            .text("copied"), .text("borrowed\0text"), .blob(text), .text(""), .null, .integer(3), .double(1.5), .null,
        ]
        #expect(try values(database) == expected)
        #expect(#expect(throws: SQLiteError.self) { try insert.bind(Int64(1), at: 2) }?.code == .invalidStatement)
    }

    @Test func `A failed run leaves the statement usable`() throws {
        let database = try table()
        let insert = try database.statement("INSERT INTO things (id) VALUES (?)")
        try insert.run(.integer(1))
        let failure = #expect(throws: SQLiteError.self) { try insert.run(.integer(1)) }
        #expect(failure?.code == .constraint)
        #expect(failure?.message.contains("things.id") == true)
        try insert.run(.integer(2))
        try database.run("DELETE FROM things")
        #expect(database.changedRows == 2)
    }

    @Test func `The same SQL may run inside of its own rows`() throws {
        let database = try table()
        for number in 1...3 { try database.run("INSERT INTO things (value) VALUES (?)", .integer(Int64(number))) }
        var count = 0
        try database.run("SELECT value FROM things") { _ in
            try? database.run("SELECT value FROM things") { _ in count += 1 }
        }
        #expect(count == 9)
    }

    @Test func `A transaction that throws changes nothing`() throws {
        struct Refused: Error {}
        let database = try table()
        #expect(throws: Refused.self) {
            try database.transaction {
                try database.run("INSERT INTO things (value) VALUES (1)")
                throw Refused()
            }
        }
        #expect(try values(database).isEmpty)
        let result = try database.transaction(.immediate) {
            try database.run("INSERT INTO things (value) VALUES (2)")
            return 5
        }
        #expect(result == 5)
        #expect(try values(database) == [.integer(2)])
        database.rollBack()
    }

    @Test func `Another connection's lock is waited for, then reported`() throws {
        let holder = try table()
        let other = try SQLiteDatabase(path, .readWrite, busyTimeout: .milliseconds(50))
        try holder.execute("BEGIN EXCLUSIVE")
        let failure = #expect(throws: SQLiteError.self) { try other.run("INSERT INTO things (value) VALUES (1)") }
        #expect(failure?.code == .busy)
        #expect(failure?.exitStatus == .tryAgain)
        try holder.execute("COMMIT")
        try other.run("INSERT INTO things (value) VALUES (1)")
        #expect(try values(holder) == [.integer(1)])
    }

    @Test func `A connection that only reads writes nothing`() throws {
        try table().run("INSERT INTO things (value) VALUES (1)")
        let reader = try SQLiteDatabase(path, .readOnly)
        #expect(try values(reader) == [.integer(1)])
        let failure = #expect(throws: SQLiteError.self) { try reader.run("DELETE FROM things") }
        #expect(failure?.code == .readOnly)
    }

    @Test func `A file that is no database, or a damaged one, is recognised`() throws {
        try write(Array("this is a text, and it is no database of any kind".utf8))
        let database = try SQLiteDatabase(path, .readWrite)
        #expect(
            #expect(throws: SQLiteError.self) { try database.run("SELECT 1 FROM sqlite_master") }?.code == .notADatabase
        )
        unlink(path)
        do {
            let whole = try table()
            for _ in 0..<200 { try whole.run("INSERT INTO things (value) VALUES (zeroblob(1000))") }
        }
        var bytes = try read()
        for index in 4096..<bytes.count where index % 4096 < 100 { bytes[index] = 0xa5 }
        try write(bytes)
        let damaged = try SQLiteDatabase(path, .readWrite)
        #expect(#expect(throws: SQLiteError.self) { try values(damaged) }?.code == .corrupt)
    }

    @Test func `A missing file is created only where that is asked for, for its owner only`() throws {
        for access in [SQLiteDatabase.Access.readOnly, .readWrite] {
            #expect(#expect(throws: SQLiteError.self) { try SQLiteDatabase(path, access) }?.code == .cannotOpen)
        }
        _ = try table()
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        symlink(path, folder("link.db"))
        let failure = #expect(throws: SQLiteError.self) { try SQLiteDatabase(folder("link.db"), .createPrivate) }
        #expect(failure?.code == .cannotOpen)
        for path in ["", "a\0b"] {
            #expect(throws: SQLiteError.self) { try SQLiteDatabase(path, .createPrivate) }
        }
    }

    @Test func `Faulty SQL and values over the limit are refused`() throws {
        let database = try table()
        for sql in ["SELEC 1", "", "SELECT 1\0", "SELECT * FROM nothing"] {
            #expect(#expect(throws: SQLiteError.self) { try database.run(sql) }?.code == .invalidStatement)
        }
        database.limitValues(toBytes: 1000)
        let long = SQLiteValue.text(String(repeating: "x", count: 1001))
        let failure = #expect(throws: SQLiteError.self) {
            try database.run("INSERT INTO things (value) VALUES (?)", long)
        }
        #expect(failure?.code == .tooBig)
    }

    @Test func `The log of a database is found through a symbolic link, and only if the database has one`() throws {
        let real = try table()
        #expect(throws: SQLiteError.self) { try SQLiteLog(of: real) }
        #expect(symlink(path, folder("link.db")) == 0)
        let linked = try SQLiteDatabase(folder("link.db"), .readWrite)
        try linked.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
        try linked.execute("INSERT INTO things (value) VALUES ('a')")
        let log = try SQLiteLog(of: linked)
        try log.sync()
        // Closing the log does not end the locks of the connection.
        try linked.execute("BEGIN IMMEDIATE; INSERT INTO things (value) VALUES ('b')")
        _ = try SQLiteLog(of: linked)
        let other = try SQLiteDatabase(path, .readWrite, busyTimeout: .zero)
        let failure = #expect(throws: SQLiteError.self) { try other.execute("BEGIN IMMEDIATE") }
        #expect(failure?.code == .busy)
        try linked.execute("COMMIT")
        try log.sync()
        #expect(try values(other) == [.text("a"), .text("b")])
    }

    private func write(_ bytes: [UInt8]) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }

    private func read() throws -> [UInt8] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }
}
