import CSpool
package import Glibc
import System

/// Appends lines to a spool. It belongs to one thread.
package final class SpoolWriter {
    private static let batchBytes = 1 << 20
    private static let batchPieces = 1024

    private let spool: Spool
    private var lines: OpenFile?
    private var sums: OpenFile?
    private var active: Segment
    private var records: UnsafeMutableBufferPointer<tgp_spool_line>
    private var reportedAt: ContinuousClock.Instant?

    package init(_ spool: Spool) {
        self.spool = spool
        let last = spool.state.read { $0.segments.last }
        active = last ?? Segment(number: spool.cursor.segment, folder: spool.folder)
        records = .allocate(capacity: 4096)
    }

    deinit { records.deallocate() }

    /// Appends whole lines, line feeds included; returns when they will survive the process.
    ///
    /// - Returns: the number of lines dropped because there was no room (`SpoolLimits.WhenFull.drop`).
    /// - Throws: `SpoolError`: `.abandoned` when the wait for room was ended.
    package func append(_ pieces: UnsafeBufferPointer<iovec>) throws(SpoolError) -> Int {
        var dropped = 0
        var index = 0
        while index < pieces.count {
            var end = index
            var bytes = 0
            repeat {
                bytes += pieces[end].iov_len
                end += 1
            } while end < pieces.count && end - index < SpoolWriter.batchPieces && bytes < SpoolWriter.batchBytes
            dropped += try append(batch: Array(pieces[index..<end]))
            index = end
        }
        return dropped
    }

    private func append(batch: [iovec]) throws(SpoolError) -> Int {
        var rest = batch
        while true {
            let (written, reason) = try write(rest)
            rest.drop(written)
            guard let reason else { return 0 }
            reportFull(reason)
            // On a full disk the segment itself must be removed, once it has been read.
            if active.bytes > 0, spool.waitingBytes == 0 { _ = try begin() }
            guard spool.limits.whenFull == .block else { return SpoolWriter.lineFeeds(rest) }
            // Delivered lines make room, and so may a person on a full disk.
            let isAbandoned = spool.state.wait(atMost: .milliseconds(200)) { $0.isAbandoned ? true : nil } ?? false
            guard !isAbandoned else { throw SpoolError(.abandoned, reason) }
        }
    }

    /// Reports that the spool is full, but not again for each batch.
    private func reportFull(_ reason: String) {
        if let reportedAt, reportedAt.duration(to: .now) < .seconds(60) { return }
        reportedAt = .now
        spool.notify(.full(reason))
    }

    /// Writes as many lines as there is room for.
    ///
    /// - Returns: their bytes and, when that is not all, the reason.
    private func write(_ batch: [iovec]) throws(SpoolError) -> (written: Int, reason: String?) {
        let bytes = batch.reduce(0) { $0 + $1.iov_len }
        if let reason = try makePlace(for: Int64(bytes)) { return (0, reason) }
        guard let lines, let sums else { return (0, nil) }
        let noted = note(batch)
        let (written, reason) = try lines.write(batch, at: active.bytes)
        var (count, end) = (noted, active.bytes + Int64(bytes))
        if reason != nil {
            let most = active.bytes + Int64(written)
            count = records[..<noted].firstIndex { Int64($0.end) > most } ?? noted
            end = count > 0 ? Int64(records[count - 1].end) : active.bytes
            try lines.truncate(to: end)
        }
        let sumsEnd = Int64(active.lines * Segment.lineBytes)
        let (_, sumsReason) = try sums.write(
            [iovec(iov_base: records.baseAddress, iov_len: count * Segment.lineBytes)], at: sumsEnd)
        if let sumsReason {
            try lines.truncate(to: active.bytes)
            try sums.truncate(to: sumsEnd)
            return (0, sumsReason)
        }
        if spool.limits.syncs { try sync(lines, sums) }
        defer { spool.state.update { [active] in $0.segments[$0.segments.count - 1] = active } }
        let taken = Int(end - active.bytes)
        active.bytes = end
        active.lines += count
        return (taken, reason)
    }

    private func sync(_ lines: OpenFile, _ sums: OpenFile) throws(SpoolError) {
        guard fdatasync(lines.descriptor) == 0, fdatasync(sums.descriptor) == 0 else {
            throw SpoolError.localIO("unable to write to \(lines.path)")
        }
    }

    /// Begins a segment when one is needed.
    ///
    /// - Returns: the reason when there is no room; nil otherwise.
    private func makePlace(for bytes: Int64) throws(SpoolError) -> String? {
        let (held, hasOlder) = spool.state.read { ($0.bytes, $0.segments.count > 1) }
        let isEmpty = !hasOlder && spool.waitingBytes == 0
        let isOver = held + bytes > spool.limits.totalBytes
        guard isEmpty || !isOver else { return "the spool \(spool.folder) is full: \(held) bytes" }
        // A spool that has been read to its end begins a segment too, so that the old one can be removed.
        guard lines == nil || active.bytes >= spool.limits.segmentBytes || (isEmpty && isOver) else { return nil }
        return try begin()
    }

    /// Continues in the last segment, or in a new one when the last is full.
    ///
    /// - Returns: the reason when there is no room for one; nil otherwise.
    private func begin() throws(SpoolError) -> String? {
        let last = spool.state.read { $0.segments.last }
        let isNext = lines != nil || (last?.bytes ?? 0) >= spool.limits.segmentBytes
        let next = isNext ? Segment(number: active.number + 1, folder: spool.folder) : active
        do throws(SpoolError) {
            let files = (try OpenFile(next.linesPath, O_RDWR | O_CREAT), try OpenFile(next.sumsPath, O_RDWR | O_CREAT))
            (lines, sums) = files
        } catch {
            guard error.isWantOfRoom else { throw error }
            return error.message
        }
        active = next
        spool.state.update { [active] state in
            if state.segments.last?.number != active.number { state.segments.append(active) }
        }
        return nil
    }

    /// Records the lines of a batch; returns their number.
    private func note(_ batch: [iovec]) -> Int {
        var count = 0
        var start = UInt32(truncatingIfNeeded: active.bytes)
        for piece in batch {
            var offset = 0
            while offset < piece.iov_len {
                if count == records.count { grow() }
                var taken = 0
                let found = tgp_spool_lines(
                    piece.iov_base + offset, piece.iov_len - offset, start, records.baseAddress.map { $0 + count },
                    records.count - count, &taken)
                guard found > 0 else { break }
                (count, offset, start) = (count + found, offset + taken, start + UInt32(truncatingIfNeeded: taken))
            }
        }
        return count
    }

    private func grow() {
        let larger = UnsafeMutableBufferPointer<tgp_spool_line>.allocate(capacity: 2 * records.count)
        _ = larger.update(fromContentsOf: records)
        records.deallocate()
        records = larger
    }

    private static func lineFeeds(_ batch: [iovec]) -> Int {
        batch.reduce(0) { sum, piece in
            sum + UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len).count { $0 == 0x0A }
        }
    }
}
