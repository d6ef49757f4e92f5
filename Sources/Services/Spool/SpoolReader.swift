import CSpool
import Glibc
import System

/// Holds consecutive whole lines of one segment whose checksums are right. It is valid until the reader's next call.
package struct Stretch {
    /// The lines in memory. The first may begin in its middle, at the reader's position.
    package let bytes: UnsafeRawBufferPointer
    /// The end of each line in `bytes`.
    package let ends: [Int]
    /// The offset of the lines in their segment.
    package let offset: Int64
    let file: OpenFile
}

/// Describes bytes of a segment that differ from those that were written.
package struct Damage: Sendable {
    package let path: String
    package let offsets: Range<Int64>
    /// The beginning of the bytes that are there now.
    package let bytes: [UInt8]

    package var reason: String {
        "offsets \(offsets.lowerBound) to \(offsets.upperBound) of \(path) do not fit their checksums"
    }
}

/// Reads lines from a spool. It belongs to one thread.
///
/// Lines that are not passed (`splice`, `skip`) are read again, in this process or the next.
package final class SpoolReader {
    package enum Next {
        case lines(Stretch)
        /// Damaged bytes, which the reader has passed already.
        case damage(Damage)
        /// There is nothing to read now.
        case nothing
        /// There will be nothing more to read.
        case end
    }

    private static let mostLines = 16_384
    private static let usualBytes: Int64 = 1 << 20
    static let keptOfDamage: Int64 = 1 << 20

    private let spool: Spool
    private var segment: Segment?
    private var lines: OpenFile?
    private var sums: OpenFile?
    /// The index of the first line at or after the cursor, and the line's offset.
    private var index = 0
    private var lineStart: Int64 = 0
    private var buffer: UnsafeMutableRawBufferPointer = .allocate(byteCount: Int(usualBytes), alignment: 64)
    private var records: [tgp_spool_line] = []
    /// The range of the segment's bytes that has been checked.
    private var checked: Range<Int64> = 0..<0
    private var bufferStart: Int64 = 0
    private var ends: [Int64] = []

    package init(_ spool: Spool) { self.spool = spool }

    deinit { buffer.deallocate() }

    /// Returns the next lines.
    ///
    /// - Parameter limit: the longest time to wait for them.
    package func next(atMost limit: Duration) throws(SpoolError) -> Next {
        guard try find(atMost: limit), let segment, let lines else {
            return spool.state.read { $0.isClosed } ? .end : .nothing
        }
        let offset = spool.cursor.offset.pointee
        if !checked.contains(offset) {
            if let damage = try check(segment, from: offset) { return .damage(damage) }
        }
        let from = Int(spool.cursor.offset.pointee - bufferStart)
        let upTo = Int(checked.upperBound - bufferStart)
        let rest = ends.drop { $0 <= offset }.map { Int($0 - offset) }
        return .lines(
            Stretch(
                bytes: UnsafeRawBufferPointer(rebasing: buffer[from..<upTo]), ends: rest, offset: offset, file: lines))
    }

    /// Skips the next `count` bytes.
    package func skip(_ count: Int) { spool.cursor.offset.pointee += Int64(count) }

    /// Moves up to `count` bytes of a stretch into a pipe, without waiting, and passes them in the same step: however
    /// the process ends, the next one continues after the bytes in the pipe.
    ///
    /// - Returns: the number of bytes, or -1 with `errno`.
    package func splice(_ stretch: Stretch, into pipe: Int32, _ count: Int) -> Int {
        tgp_splice(stretch.file.descriptor, spool.cursor.offset, pipe, count)
    }

    /// Finds the segment at the cursor; returns false when it has nothing to read.
    private func find(atMost limit: Duration) throws(SpoolError) -> Bool {
        while true {
            let (number, offset) = (spool.cursor.segment, spool.cursor.offset.pointee)
            let found = spool.state.wait(atMost: limit) { state -> (Segment?, UInt64?)? in
                if let here = state.segments.first(where: { $0.number == number }), here.bytes > offset {
                    return (here, nil)
                }
                if let later = state.segments.first(where: { $0.number > number }) { return (nil, later.number) }
                return state.isClosed ? (nil, nil) : nil
            }
            guard let found else { return false }
            if let later = found.1 {
                // A removed file takes room as long as it is open.
                (segment, lines, sums) = (nil, nil, nil)
                if later == number + 1 {
                    spool.cursor.advance(to: later)
                } else {
                    spool.cursor.go(to: later, offset: 0)
                }
            } else if let here = found.0 {
                try open(here, at: offset)
                return true
            } else {
                return false
            }
        }
    }

    private func open(_ found: Segment, at offset: Int64) throws(SpoolError) {
        defer { segment = found }
        guard segment?.number != found.number || offset < lineStart else { return }
        lines = try OpenFile(found.linesPath, O_RDONLY)
        sums = try OpenFile(found.sumsPath, O_RDONLY)
        (index, lineStart, checked) = (0, 0, 0..<0)
    }
}

extension SpoolReader {
    /// Checks the lines from the cursor on, as many as the buffer takes.
    ///
    /// - Returns: damage at the cursor, which has passed it then; nil when there is none.
    private func check(_ segment: Segment, from offset: Int64) throws(SpoolError) -> Damage? {
        try passLines(before: offset, segment)
        try load(segment)
        ends = []
        var end = lineStart
        for record in records {
            guard isWhole(record, from: end) else { break }
            end = Int64(record.end)
            ends.append(end)
        }
        guard ends.isEmpty else {
            checked = lineStart..<end
            return nil
        }
        return try damage(segment)
    }

    /// Moves to the line that holds the offset.
    private func passLines(before offset: Int64, _ segment: Segment) throws(SpoolError) {
        while index < segment.lines {
            try loadRecords(segment)
            guard !records.isEmpty else { return }
            guard let past = records.firstIndex(where: { Int64($0.end) > offset }) else {
                lineStart = records.last.map { Int64($0.end) } ?? lineStart
                index += records.count
                continue
            }
            if past > 0 { lineStart = Int64(records[past - 1].end) }
            index += past
            return
        }
    }

    private func loadRecords(_ segment: Segment) throws(SpoolError) {
        records = try sums?.records(max(0, min(segment.lines - index, SpoolReader.mostLines)), from: index) ?? []
    }

    /// Reads lines and their records from `lineStart` on.
    private func load(_ segment: Segment) throws(SpoolError) {
        try loadRecords(segment)
        let first = records.first.map { Int64($0.end) } ?? lineStart
        // A line that is larger than the buffer is read as a whole; a wrong record may therefore cause a read up to
        // the segment's end.
        let wanted = max(SpoolReader.usualBytes, min(first, segment.bytes) - lineStart)
        if Int64(buffer.count) < wanted || (wanted == SpoolReader.usualBytes && buffer.count > wanted) {
            buffer.deallocate()
            buffer = .allocate(byteCount: Int(wanted), alignment: 64)
        }
        bufferStart = lineStart
        checked = lineStart..<lineStart
        let count = min(Int(segment.bytes - lineStart), buffer.count)
        let read = try lines?.read(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: lineStart) ?? 0
        let end = lineStart + Int64(read)
        // Lines that are not in the buffer as a whole are read later.
        if let later = records.firstIndex(where: { Int64($0.end) > end }), later > 0 {
            records.removeLast(records.count - later)
        }
    }

    private func isWhole(_ record: tgp_spool_line, from start: Int64) -> Bool {
        let (from, upTo) = (Int(start - bufferStart), Int(Int64(record.end) - bufferStart))
        guard from >= 0, from < upTo, upTo <= buffer.count else { return false }
        return buffer.baseAddress.map { tgp_spool_sum($0 + from, upTo - from, record.end) } == record.sum
    }

    /// Finds the next line that is whole, and moves the cursor there.
    private func damage(_ segment: Segment) throws(SpoolError) -> Damage {
        let start = max(lineStart, spool.cursor.offset.pointee)
        var end = segment.bytes
        var found = segment.lines
        for next in records.indices.dropFirst() {
            let upTo = Int(Int64(records[next].end) - bufferStart)
            // A wrong record spoils two lines, unless the line feed before the second one is in its place.
            let feed =
                (1...buffer.count).contains(upTo)
                ? buffer[..<(upTo - 1)].lastIndex(of: UInt8(ascii: "\n")).map { bufferStart + Int64($0) + 1 } : nil
            for from in [Int64(records[next - 1].end), feed ?? -1]
            where from > lineStart && isWhole(records[next], from: from) {
                (end, found) = (from, index + next)
                break
            }
            if found < segment.lines { break }
        }
        if found == segment.lines, index + records.count < segment.lines, let last = records.last,
            (lineStart..<segment.bytes).contains(Int64(last.end))
        {
            (end, found) = (Int64(last.end), index + records.count)
        }
        let bytes = try lines?.bytes(Int(min(end - start, SpoolReader.keptOfDamage)), at: start) ?? []
        (index, lineStart) = (found, end)
        spool.cursor.offset.pointee = end
        return Damage(path: segment.linesPath, offsets: start..<end, bytes: bytes)
    }
}

extension SpoolReader {
    /// Sets the number of bytes before the cursor that would be lost with a pipe without a reader; 0 when it has one.
    package func hold(_ bytes: Int) {
        guard spool.cursor.held != Int64(bytes) else { return }
        spool.cursor.held = Int64(bytes)
    }

    /// The bytes that were held when the last process ended.
    package var heldBytes: Int { Int(spool.cursor.held) }

    /// Moves back over the last `count` bytes, as far as they still exist.
    ///
    /// - Parameter toLineStart: whether to move on to the beginning of the line there.
    /// - Returns: the number of bytes moved.
    @discardableResult
    package func goBack(_ count: Int, toLineStart: Bool) throws(SpoolError) -> Int {
        let before = spool.waitingBytes
        var (number, offset) = (spool.cursor.segment, spool.cursor.offset.pointee)
        var rest = Int64(count)
        while rest > offset, let previous = spool.state.read({ $0.segments.last { $0.number < number } }) {
            rest -= offset
            (number, offset) = (previous.number, previous.bytes)
        }
        offset = max(0, offset - rest)
        let found = spool.state.read { $0.segments.first { $0.number == number } }
        if toLineStart, let found {
            segment = nil
            try open(found, at: offset)
            try passLines(before: offset, found)
            offset = min(offset, lineStart)
        }
        segment = nil
        spool.cursor.go(to: number, offset: offset)
        return Int(spool.waitingBytes - before)
    }

    /// Removes all files, once all lines are read and no more will come.
    package func clear() {
        guard spool.waitingBytes == 0, spool.state.read({ $0.isClosed && !$0.segments.isEmpty }) else { return }
        lines = nil
        segment = nil
        spool.cursor.go(to: spool.cursor.segment + 1, offset: 0)
        let gone = spool.state.update { state in
            defer { state.segments = [] }
            return state.segments
        }
        for each in gone { each.remove() }
    }

    /// Removes segments that end more than `bytes` before the cursor.
    package func forget(keeping bytes: Int) {
        let (number, offset) = (spool.cursor.segment, spool.cursor.offset.pointee)
        let gone = spool.state.read { state -> [Segment] in
            var behind = offset
            var gone: [Segment] = []
            for each in state.segments.reversed() where each.number < number {
                if behind >= Int64(bytes) { gone.append(each) }
                behind += each.bytes
            }
            return gone
        }
        guard !gone.isEmpty else { return }
        for each in gone { each.remove() }
        let numbers = Set(gone.map(\.number))
        spool.state.update { $0.segments.removeAll { numbers.contains($0.number) } }
    }
}
