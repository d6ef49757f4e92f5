import System
import Glibc

/// Keeps lines for one reader on disk. One thread appends them, another reads them in their order, each once, however
/// the process ends meanwhile.
///
/// One process at a time uses a folder. The folder holds segments (`Segment`), the reader's position (`Cursor`), and
/// the lock.
package final class Spool: Sendable {
    /// Holds the state that the two threads share.
    struct State {
        /// The segments, oldest first. Lines are appended to the last one.
        var segments: [Segment] = []
        /// The bytes of the segments that the reader has passed.
        var readBytes: Int64 = 0
        var isClosed = false
        var isAbandoned = false

        var bytes: Int64 { segments.reduce(0) { $0 + $1.bytes + Int64($1.lines * Segment.lineBytes) } }
    }

    /// Reports an event of the spool's own.
    package enum Notice: Sendable {
        /// The spool holds events of an earlier run.
        case found(bytes: Int64)
        /// The spool or its disk is full: lines wait, or are dropped.
        case full(String)
        /// A file does not hold the bytes that were written to it.
        case damaged(String)
    }

    package let folder: String
    let limits: SpoolLimits
    let state: Monitor<State>
    let cursor: Cursor
    let notify: @Sendable (Notice) -> Void
    private let lock: OpenFile

    /// Opens a spool, and repairs the state that an earlier process left.
    ///
    /// - Parameters:
    ///   - folder: made when it does not exist.
    ///   - isEvent: decides whether a line without a checksum is whole. The last line before a process was killed
    ///     may have none.
    /// - Throws: `SpoolError`: `.locked` when another process uses the folder.
    package init(
        folder: String, limits: SpoolLimits, isEvent: @escaping (UnsafeRawBufferPointer) -> Bool,
        notify: @escaping @Sendable (Notice) -> Void
    ) throws(SpoolError) {
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw SpoolError.localIO("unable to make the folder \(folder)")
        }
        (self.folder, self.limits, self.notify) = (folder, limits, notify)
        lock = try Spool.lock(folder)
        var segments = try Spool.segments(in: folder)
        for index in segments.indices {
            try SegmentRecovery(segments[index], isEvent: isEvent, notify: notify).run(&segments[index])
        }
        cursor = try Cursor(path: "\(folder)/cursor", first: segments.first?.number ?? 1)
        if cursor.isLost {
            notify(
                .damaged(
                    "\(folder)/cursor is not a cursor file: all lines in the spool are delivered again, the oldest first"
                ))
        }
        state = Monitor(State(segments: Spool.fit(cursor, to: segments, notify)))
        let waiting = waitingBytes
        if waiting > 0 { notify(.found(bytes: waiting)) }
    }

    private static func lock(_ folder: String) throws(SpoolError) -> OpenFile {
        let file = try OpenFile("\(folder)/lock", O_RDWR | O_CREAT)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            var text = [UInt8](repeating: 0, count: 16)
            let count = text.withUnsafeMutableBytes { pread(file.descriptor, $0.baseAddress, $0.count, 0) }
            let owner = String(decoding: text.prefix(max(0, count)), as: UTF8.self).filter(\.isNumber)
            throw SpoolError(
                .locked,
                "the spool \(folder) is in use by process \(owner.isEmpty ? "?" : owner): give each ev-route a spool of its own"
            )
        }
        let owner = "\(getpid())\n"
        if ftruncate(file.descriptor, 0) == 0 { _ = pwrite(file.descriptor, owner, owner.utf8.count, 0) }
        return file
    }

    private static func segments(in folder: String) throws(SpoolError) -> [Segment] {
        guard let names = folderEntries(folder) else { throw SpoolError.localIO("unable to read the folder \(folder)") }
        let segments = names.compactMap { Segment(file: $0, folder: folder) }
        return segments.sorted { $0.number < $1.number }
    }

    /// Moves the cursor to an existing segment, and removes the segments before it.
    private static func fit(_ cursor: Cursor, to segments: [Segment], _ notify: (Notice) -> Void) -> [Segment] {
        // Held bytes may have to be read again: they stay until the reader decides.
        guard let last = segments.last, last.number >= cursor.segment else {
            for segment in segments { segment.remove() }
            if !segments.isEmpty || cursor.offset.pointee > 0 { cursor.go(to: cursor.segment + 1, offset: 0) }
            return []
        }
        guard let current = segments.first(where: { $0.number >= cursor.segment }) else { return segments }
        if current.number != cursor.segment {
            if cursor.offset.pointee > 0 || cursor.segment + 1 != current.number {
                notify(.damaged("the segments before \(current.linesPath) are missing"))
            }
            cursor.go(to: current.number, offset: 0)
        } else if !(0...current.bytes).contains(cursor.offset.pointee) {
            notify(.damaged("\(current.linesPath) ends at \(current.bytes), before offset \(cursor.offset.pointee)"))
            cursor.go(to: current.number, offset: current.bytes)
        }
        return segments
    }

    /// The bytes appended and not read yet.
    package var waitingBytes: Int64 {
        let (segment, offset) = (cursor.segment, cursor.offset.pointee)
        return state.read { state in
            state.segments.reduce(0) { sum, each in
                each.number < segment ? sum : sum + (each.number == segment ? max(0, each.bytes - offset) : each.bytes)
            }
        }
    }

    /// Ends the input: the reader reaches the end after the last line.
    package func close() { state.update { $0.isClosed = true } }

    /// Ends all waits: appending fails from now on, and reading ends.
    package func abandon() {
        state.update { state in
            state.isAbandoned = true
            state.isClosed = true
        }
    }
}
