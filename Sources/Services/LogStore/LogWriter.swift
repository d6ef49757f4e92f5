import Glibc
import JSON
import SQLite
import System

/// Appends lines to the newest segment of a store, begins the next one when it is full, and removes the oldest.
///
/// One thread at a time may use it.
package final class LogWriter {
    /// How much the store may hold.
    package struct Limits: Sendable {
        /// The most bytes of all segments together.
        package var totalBytes: Int64 = 2 << 30
        /// How long a segment is kept after its last line.
        package var keep: Duration = .seconds(14 * 86_400)
        /// How long lines go into one segment.
        package var segmentAge: Duration = .seconds(86_400)

        package init() {}

        /// The bytes at which the next segment begins: with one twentieth, the store is never far below its limit.
        var segmentBytes: Int64 { min(max(totalBytes / 20, 256 << 10), 256 << 20) }
    }

    private let folder: StoreFolder
    private let kind: String
    private let limits: Limits
    private let reader = LogLineReader()
    private var segment: Segment
    private var times: ClosedRange<Int64>?
    private var isInTransaction = false
    /// The number of lines that are not committed yet.
    package private(set) var pending = 0
    /// How far each source has been read, as committed.
    package private(set) var sources: [String: SourceState]
    /// How far each journal has been read, as committed.
    package private(set) var cursors: [String: String]

    /// Opens the store, which must be locked where several writers of this kind are possible.
    ///
    /// - Parameters:
    ///   - kind: `run` continues the last segment of its kind; `import` begins one.
    package init(_ folder: StoreFolder, kind: String, limits: Limits = Limits()) throws {
        (self.folder, self.kind, self.limits) = (folder, kind, limits)
        let own = kind == "run" ? folder.files().filter { $0.name.hasSuffix("-\(kind)") } : []
        // A segment whose making was interrupted has no tables yet.
        for file in own.reversed() {
            let database = try SQLiteDatabase(file.path, .readWrite)
            guard try Segment.version(of: database) > 0 else {
                file.remove()
                continue
            }
            segment = try Segment(file, sources: [:], cursors: [:])
            (sources, cursors) = (try segment.sources(), try segment.cursors())
            prune()
            return
        }
        segment = try Segment(folder.newFile(kind), sources: [:], cursors: [:])
        (sources, cursors) = ([:], [:])
        prune()
    }

    /// Adds a line within a transaction, which the next `commit` ends.
    ///
    /// - Parameters:
    ///   - line: `JSONParser.paddingBytes` more bytes must be readable after it.
    ///   - tool: the tool's name where the line has none.
    package func add(_ line: UnsafeRawBufferPointer, tool: String) throws {
        try insert(reader.read(line, tool: tool, now: Timestamp.now.microseconds), of: line)
    }

    /// Adds the line of an entry of journald within a transaction, which the next `commit` ends.
    package func add(_ entry: JournalEntry, tool: String) throws {
        let result = reader.read(entry, tool: tool, now: Timestamp.now.microseconds)
        try insert(result, of: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// Adds a line that says that a line cannot be read.
    package func addMalformed(_ line: some Sequence<UInt8>, _ reason: String, tool: String) throws {
        let result = reader.malformed(line, reason, tool: tool, now: Timestamp.now.microseconds)
        try insert(result, of: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    private func insert(_ result: LogLineReader.Result, of line: UnsafeRawBufferPointer) throws {
        if !isInTransaction {
            try segment.database.run("BEGIN IMMEDIATE")
            isInTransaction = true
        }
        switch result {
        case .kept(let facts): try insert(line, facts)
        case .rewritten(let bytes, let facts): try bytes.withUnsafeBytes { try insert($0, facts) }
        }
        pending += 1
    }

    private func insert(_ line: UnsafeRawBufferPointer, _ facts: LineFacts) throws {
        if let clean = SecretPatterns.removed(from: line) {
            // The name may hold the secret, too.
            let tool = Array(facts.tool.utf8).withUnsafeBytes { SecretPatterns.removed(from: $0) }
            let name = tool.map { String(decoding: $0, as: UTF8.self) } ?? facts.tool
            try clean.withUnsafeBytes { try segment.insert($0, facts, tool: name) }
        } else {
            try segment.insert(line, facts, tool: facts.tool)
        }
        times = times.map { min($0.lowerBound, facts.time)...max($0.upperBound, facts.time) } ?? facts.time...facts.time
    }

    /// Commits the lines together with how far their sources have been read.
    ///
    /// - Parameters:
    ///   - changes: the files that were read.
    ///   - moved: the journals that were read.
    /// - Throws: after a failure, nothing of it is stored, and the sources are to be read again from `sources`.
    package func commit(_ changes: [String: SourceState] = [:], cursors moved: [String: String] = [:]) throws {
        guard pending > 0 || !changes.isEmpty || !moved.isEmpty else { return }
        do {
            if !isInTransaction { try segment.database.run("BEGIN IMMEDIATE") }
            isInTransaction = true
            if let times { try segment.insertBatch(times) }
            for (name, state) in changes { try segment.save(name, state) }
            for (name, cursor) in moved { try segment.save(name, cursor: cursor) }
            try segment.database.run("COMMIT")
        } catch {
            rollBack()
            throw error
        }
        sources.merge(changes) { $1 }
        cursors.merge(moved) { $1 }
        (pending, times, isInTransaction) = (0, nil, false)
        if try segment.sizeBytes() >= limits.segmentBytes || isOld(segment) { try beginSegment() }
    }

    /// Returns whether lines have gone into a segment for long enough, also those of processes before this one.
    private func isOld(_ segment: Segment) -> Bool {
        guard let made = segment.file.madeMicroseconds else { return false }
        return (SystemClocks.realtimeNanoseconds / 1000 - made) / 1000 >= limits.segmentAge.milliseconds
    }

    /// Undoes everything since the last commit.
    package func rollBack() {
        segment.database.rollBack()
        (pending, times, isInTransaction) = (0, nil, false)
        try? segment.forgetTools()
    }

    /// Makes everything that is committed survive a loss of power, so that a source may be removed.
    package func sync(_ name: String) throws { try segment.saveDurably(name, sources[name] ?? SourceState()) }

    /// Forgets a source that was removed.
    package func forget(_ name: String) throws {
        try segment.forget(name)
        sources[name] = nil
    }

    /// Ends the writing.
    package func close() throws {
        try commit()
        try segment.finish()
    }

    private func beginSegment() throws {
        let next = try Segment(folder.newFile(kind), sources: sources, cursors: cursors)
        try? segment.finish()
        segment = next
        prune()
    }

    /// Begins the next segment if lines have gone into this one for long enough, even if no further lines come, and removes what is
    /// too old. Call this now and then, between a commit and the next line.
    package func tidy() throws {
        if pending == 0, !isInTransaction, isOld(segment), try segment.hasLines() {
            try beginSegment()
        } else {
            prune()
        }
    }

    /// Removes the segments that are too old or beyond the limit, the oldest first; the newest of this writer stays.
    private func prune() {
        var files = folder.files().filter { $0 != segment.file }
        let oldest = SystemClocks.realtimeNanoseconds - limits.keep.milliseconds * 1_000_000
        files.removeAll { file in
            var info = stat()
            guard stat(file.path, &info) == 0, info.modifiedNanoseconds < oldest else { return false }
            file.remove()
            return true
        }
        var total = files.reduce(limits.segmentBytes) { $0 + $1.sizeBytes }
        for file in files where total > limits.totalBytes {
            total -= file.sizeBytes
            file.remove()
        }
    }
}
