import Envelope
import Glibc
import SQLite

/// One file of the store: its lines, and how far the files of the processes have been read.
///
/// Lines and offsets are in one database, so that one transaction keeps both.
final class Segment {
    private static let version: Int64 = 1

    let file: StoreFolder.File
    let database: SQLiteDatabase
    private let insertion: SQLiteStatement
    /// The numbers of the tools' names.
    private var tools: [String: Int64] = [:]
    /// The number of names of tools that a segment keeps apart; strangers' lines may have any.
    private static let mostTools = 1000
    private static let otherTools = "(other)"

    private static let tables = """
        CREATE TABLE tools(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE records(
            id INTEGER PRIMARY KEY, time INTEGER NOT NULL, level INTEGER NOT NULL, tool INTEGER NOT NULL,
            correlation BLOB, line TEXT NOT NULL);
        CREATE INDEX by_correlation ON records(correlation) WHERE correlation IS NOT NULL;
        CREATE TABLE batches(last_id INTEGER PRIMARY KEY, min_time INTEGER NOT NULL, max_time INTEGER NOT NULL);
        CREATE TABLE sources(name TEXT PRIMARY KEY, offset INTEGER NOT NULL, skips INTEGER NOT NULL) WITHOUT ROWID;
        """

    /// Segments of earlier versions lack this table.
    private static let cursorTable =
        "CREATE TABLE IF NOT EXISTS cursors(name TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID"

    /// Opens a segment to write to it; creates it with `sources` and `cursors` if it does not exist or was never finished.
    init(_ file: StoreFolder.File, sources: [String: SourceState], cursors: [String: String]) throws {
        self.file = file
        let database = try SQLiteDatabase(file.path, .createPrivate)
        // With WAL and NORMAL, a kill loses nothing; a loss of power may lose the last commits, which is why files of processes
        // are removed only after `saveDurably`.
        try database.execute(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-8000"
        )
        if try Segment.version(of: database) == 0 {
            try database.transaction(.immediate) {
                try database.execute(Segment.tables)
                try database.execute(Segment.cursorTable)
                for (name, state) in sources { try Segment.save(name, state, in: database) }
                for (name, cursor) in cursors { try Segment.save(name, cursor: cursor, in: database) }
                try database.execute("PRAGMA user_version=\(Segment.version)")
            }
        } else {
            try database.execute(Segment.cursorTable)
        }
        self.database = database
        insertion = try database.statement(
            "INSERT INTO records(time, level, tool, correlation, line) VALUES(?1, ?2, ?3, ?4, ?5)")
        try forgetTools()
    }

    /// Returns the version of a segment's tables; 0 if it was never finished.
    static func version(of database: SQLiteDatabase) throws -> Int64 {
        var found: Int64 = 0
        try database.run("PRAGMA user_version") { found = $0.integer(0) }
        guard found <= version else {
            throw LogStoreError(.newerVersion, "a segment of the log store was written by a newer version of tgpipe")
        }
        return found
    }

    private static func save(_ name: String, _ state: SourceState, in database: SQLiteDatabase) throws {
        try database.run(
            "INSERT INTO sources VALUES(?1, ?2, ?3) ON CONFLICT(name) DO UPDATE SET offset=?2, skips=?3", .text(name),
            .integer(state.offset), .integer(state.skips ? 1 : 0))
    }

    private static func save(_ name: String, cursor: String, in database: SQLiteDatabase) throws {
        try database.run(
            "INSERT INTO cursors VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET cursor=?2", .text(name), .text(cursor))
    }

    /// How far each journal has been read.
    func cursors() throws -> [String: String] {
        var cursors: [String: String] = [:]
        try database.run("SELECT name, cursor FROM cursors") { cursors[$0.text(0)] = $0.text(1) }
        return cursors
    }

    func save(_ name: String, cursor: String) throws { try Segment.save(name, cursor: cursor, in: database) }

    /// How far each source has been read.
    func sources() throws -> [String: SourceState] {
        var states: [String: SourceState] = [:]
        try database.run("SELECT name, offset, skips FROM sources") { row in
            states[row.text(0)] = SourceState(offset: row.integer(1), skips: row.integer(2) != 0)
        }
        return states
    }

    func save(_ name: String, _ state: SourceState) throws { try Segment.save(name, state, in: database) }

    func forget(_ name: String) throws { try database.run("DELETE FROM sources WHERE name=?1", .text(name)) }

    /// Inserts a line within a transaction.
    func insert(_ line: UnsafeRawBufferPointer, _ facts: LineFacts, tool: String) throws {
        try insertion.bind(facts.time, at: 1)
        try insertion.bind(Int64(facts.level), at: 2)
        try insertion.bind(try number(ofTool: tool), at: 3)
        try insertion.bindText(borrowing: line, at: 5)
        if let id = facts.correlation {
            try withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) { bytes in
                try insertion.bindBlob(borrowing: bytes, at: 4)
                try insertion.run()
            }
        } else {
            try insertion.bindNull(at: 4)
            try insertion.run()
        }
    }

    /// Notes the times of the lines that were inserted since the last commit.
    func insertBatch(_ times: ClosedRange<Int64>) throws {
        try database.run(
            "INSERT OR REPLACE INTO batches VALUES((SELECT max(id) FROM records), ?1, ?2)", .integer(times.lowerBound),
            .integer(times.upperBound))
    }

    private func number(ofTool name: String) throws -> Int64 {
        if let known = tools[name] { return known }
        let kept = tools.count < Segment.mostTools ? name : Segment.otherTools
        if let known = tools[kept] { return known }
        try database.run("INSERT INTO tools(name) VALUES(?1)", .text(kept))
        tools[kept] = database.lastInsertedRowID
        return database.lastInsertedRowID
    }

    /// Reads the names of tools again, after a transaction that may have named some was undone.
    func forgetTools() throws {
        tools = [:]
        try database.run("SELECT name, id FROM tools") { tools[$0.text(0)] = $0.integer(1) }
    }

    func hasLines() throws -> Bool {
        var found = false
        try database.run("SELECT 1 FROM records LIMIT 1") { _ in found = true }
        return found
    }

    /// The bytes of the database, those in the write-ahead log included.
    func sizeBytes() throws -> Int64 {
        var (pages, size): (Int64, Int64) = (0, 0)
        try database.run("PRAGMA page_count") { pages = $0.integer(0) }
        try database.run("PRAGMA page_size") { size = $0.integer(0) }
        return pages * size
    }

    /// Saves a source's state once more, so that it and everything that was committed before survive a loss of power.
    func saveDurably(_ name: String, _ state: SourceState) throws {
        try database.execute("PRAGMA synchronous=FULL")
        defer { try? database.execute("PRAGMA synchronous=NORMAL") }
        try save(name, state)
    }

    /// Moves everything into the one file, when no more is written to it.
    func finish() throws { try database.run("PRAGMA wal_checkpoint(TRUNCATE)") }
}

/// Tells how far a source has been read.
package struct SourceState: Sendable, Equatable {
    /// The bytes that are stored, or have been reported as unreadable.
    package var offset: Int64
    /// Is true if the offset is within a line that is too long, of which the rest is skipped.
    package var skips: Bool

    package init(offset: Int64 = 0, skips: Bool = false) { (self.offset, self.skips) = (offset, skips) }
}
