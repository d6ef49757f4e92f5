package import Envelope
package import JSON
import SQLite

/// Selects lines of the store.
package struct LogQuery: Sendable {
    package enum Kind: Sendable { case logs, spans, both }

    package var kind = Kind.logs
    package var correlation: CorrelationPrefix?
    /// The names of tools; none means all.
    package var tools: [String] = []
    package var level = LogLevel.trace
    package var since: Timestamp?
    package var until: Timestamp?
    /// Texts that the line has, whatever the case of their ASCII letters.
    package var texts: [String] = []
    /// JSON texts that the line has as they are, without a digit behind them: `"message_id":42`.
    package var rawTexts: [String] = []

    package init() {}

    /// The conditions and their values.
    fileprivate func conditions() -> (sql: [String], values: [SQLiteValue]) {
        var (sql, values): ([String], [SQLiteValue]) = ([], [])
        func add(_ text: String, _ own: [SQLiteValue]) {
            sql.append(text)
            values += own
        }
        switch kind {
        case .logs: add("level >= ?", [.integer(Int64(level.rawValue))])
        case .spans: add("level = ?", [.integer(Int64(LineFacts.spanLevel))])
        case .both:
            if level > .trace { add("(level >= ? OR level < 0)", [.integer(Int64(level.rawValue))]) }
        }
        if let correlation {
            add("correlation BETWEEN ? AND ?", [.blob(correlation.lowest.blob), .blob(correlation.highest.blob)])
        }
        if !tools.isEmpty {
            let places = tools.map { _ in "?" }.joined(separator: ",")
            add("tool IN (SELECT id FROM tools WHERE name IN (\(places)))", tools.map { .text($0) })
        }
        if let since { add("time >= ?", [.integer(since.microseconds)]) }
        if let until { add("time <= ?", [.integer(until.microseconds)]) }
        if since != nil || until != nil {
            // The ids of the batches that may hold such times: a scan of the whole segment would take longer.
            let (low, high) = (since?.microseconds ?? .min, until?.microseconds ?? .max)
            let batches = "FROM batches WHERE max_time >= ? AND min_time <= ?"
            add(
                "r.id > coalesce((SELECT max(last_id) FROM batches WHERE last_id < (SELECT min(last_id) \(batches))), 0)",
                [.integer(low), .integer(high)])
            add("r.id <= (SELECT max(last_id) \(batches))", [.integer(low), .integer(high)])
        }
        for text in texts {
            let pattern = String(JSON.string(text).text.dropFirst().dropLast())
            let escaped = pattern.map { "\\%_".contains($0) ? "\\\($0)" : "\($0)" }.joined()
            add("line LIKE ? ESCAPE '\\'", [.text("%\(escaped)%")])
        }
        for text in rawTexts {
            add("(instr(line, ? || ',') OR instr(line, ? || '}'))", [.text(text), .text(text)])
        }
        return (sql, values)
    }
}

/// One line of the store.
package struct StoredLine: Sendable {
    /// Microseconds since 1970.
    package let time: Int64
    package let level: Int
    /// A JSON object.
    package let line: [UInt8]

    package var isSpan: Bool { level == LineFacts.spanLevel }

    fileprivate init(_ row: borrowing SQLiteRow) {
        time = row.integer(1)
        level = Int(row.integer(2))
        line = row.blob(3)
    }
}

/// Reads the lines of a store, while others may write to it and remove segments.
package final class LogReader {
    private let folder: StoreFolder
    /// The last line of each segment that `next` has returned.
    private var positions: [StoreFolder.File: Int64] = [:]

    package init(_ folder: StoreFolder) { self.folder = folder }

    private static let columns = "SELECT r.id, r.time, r.level, r.line FROM records r"

    /// Hands over the lines that match, by time within each segment.
    package func forEach(_ query: LogQuery, _ body: (StoredLine) throws -> Void) throws {
        try forEachSegment { file, database in
            try LogReader.rows(database, query, "ORDER BY time, r.id", [], body)
        }
    }

    /// Returns all lines that match, by time.
    ///
    /// - Parameter limit: the most lines; further ones are left out.
    package func all(_ query: LogQuery, limit: Int = 100_000) throws -> [StoredLine] {
        var lines: [StoredLine] = []
        try forEachSegment { file, database in
            guard lines.count < limit else { return }
            let left = SQLiteValue.integer(Int64(limit - lines.count))
            try LogReader.rows(database, query, "ORDER BY time, r.id LIMIT ?", [left]) { lines.append($0) }
        }
        return lines.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    }

    /// Returns the last lines that match, by time.
    package func last(_ count: Int, _ query: LogQuery) throws -> [StoredLine] {
        var lines: [StoredLine] = []
        try forEachSegment(newestFirst: true) { file, database in
            guard lines.count < count else { return }
            let left = SQLiteValue.integer(Int64(count - lines.count))
            try LogReader.rows(database, query, "ORDER BY r.id DESC LIMIT ?", [left]) { lines.append($0) }
        }
        return lines.reversed().enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
            .map(\.element)
    }

    /// Lets `next` begin after the lines that there are now.
    package func skipToEnd() throws {
        try forEachSegment { file, database in
            try database.run("SELECT max(id) FROM records") { self.positions[file] = $0.integer(0) }
        }
    }

    /// Hands over the lines that match and were stored since the last call.
    package func next(_ query: LogQuery, _ body: (StoredLine) throws -> Void) throws {
        try forEachSegment { file, database in
            let position = positions[file] ?? 0
            var end = position
            try database.run("SELECT max(id) FROM records") { end = max(end, $0.integer(0)) }
            guard end > position else { return }
            let range: [SQLiteValue] = [.integer(position), .integer(end)]
            try LogReader.rows(database, query, "AND r.id > ? AND r.id <= ? ORDER BY r.id", range, body)
            positions[file] = end
        }
    }

    /// Returns the correlation ids with a prefix, in order; `limit` of them at most.
    package func correlations(_ prefix: CorrelationPrefix, limit: Int) throws -> [EventID] {
        var found: Set<EventID> = []
        try forEachSegment { file, database in
            try database.run(
                "SELECT DISTINCT correlation FROM records WHERE correlation BETWEEN ? AND ? LIMIT ?",
                .blob(prefix.lowest.blob), .blob(prefix.highest.blob), .integer(Int64(limit))
            ) { row in if let id = EventID(blob: row.blob(0)) { found.insert(id) } }
        }
        return found.sorted { ($0.high, $0.low) < ($1.high, $1.low) }.prefix(limit).map { $0 }
    }

    private func forEachSegment(
        newestFirst: Bool = false, _ body: (StoreFolder.File, SQLiteDatabase) throws -> Void
    ) throws {
        let files = folder.files()
        for file in newestFirst ? files.reversed() : files {
            let database: SQLiteDatabase
            do throws(SQLiteError) {
                database = try SQLiteDatabase(file.path, .readOnly)
            } catch {
                // The oldest segments may be removed meanwhile.
                if error.code == .cannotOpen { continue }
                throw error
            }
            guard try Segment.version(of: database) > 0 else { continue }
            try body(file, database)
        }
    }

    private static func rows(
        _ database: SQLiteDatabase, _ query: LogQuery, _ ending: String, _ values: [SQLiteValue],
        _ body: (StoredLine) throws -> Void
    ) throws {
        let (conditions, own) = query.conditions()
        let statement = try database.statement(
            "\(columns) WHERE \((["1"] + conditions).joined(separator: " AND ")) \(ending)")
        for (index, value) in (own + values).enumerated() { try statement.bind(value, at: index + 1) }
        var failure: (any Error)?
        try statement.run { row in
            guard failure == nil else { return }
            do { try body(StoredLine(row)) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

extension EventID {
    /// The 16 bytes of the id.
    var blob: [UInt8] { withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { Array($0) } }

    init?(blob: [UInt8]) {
        guard blob.count == 16 else { return nil }
        let words = blob.withUnsafeBytes { bytes in
            (0..<2).map { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
        }
        self.init(high: words[0], low: words[1])
    }
}
