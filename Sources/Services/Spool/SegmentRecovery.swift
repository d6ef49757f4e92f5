import CSpool
import Glibc

/// Repairs a segment that a killed process, a full disk or a person left incomplete: a torn last line is cut, and
/// whole lines without a checksum get one.
struct SegmentRecovery {
    private let segment: Segment
    private let isEvent: (UnsafeRawBufferPointer) -> Bool
    private let notify: (Spool.Notice) -> Void

    init(
        _ segment: Segment, isEvent: @escaping (UnsafeRawBufferPointer) -> Bool,
        notify: @escaping (Spool.Notice) -> Void
    ) {
        (self.segment, self.isEvent, self.notify) = (segment, isEvent, notify)
    }

    func run(_ result: inout Segment) throws(SpoolError) {
        let lines = try OpenFile(segment.linesPath, O_RDWR)
        let sums = try OpenFile(segment.sumsPath, O_RDWR | O_CREAT)
        let size = try lines.size()
        var count = Int(try sums.size()) / Segment.lineBytes
        var end: Int64 = 0
        while count > 0 {
            end = try sums.records(1, from: count - 1).first.map { Int64($0.end) } ?? 0
            if end <= size { break }
            count -= 1
        }
        if count == 0 { end = 0 }
        let promised = Int(try sums.size()) / Segment.lineBytes - count
        if promised > 0 {
            notify(.damaged("\(segment.linesPath) ends at \(size): \(promised) lines behind offset \(end) are missing"))
        }
        try sums.truncate(to: Int64(count * Segment.lineBytes))
        if end < size { try adopt(lines, sums, from: &end, to: size, &count) }
        try lines.truncate(to: end)
        (result.bytes, result.lines) = (end, count)
    }

    /// Gives whole lines checksums. Lines that are not events get wrong ones, so that they are reported in their
    /// turn.
    private func adopt(
        _ lines: OpenFile, _ sums: OpenFile, from end: inout Int64, to size: Int64, _ count: inout Int
    ) throws(SpoolError) {
        let start = end
        let buffer = try lines.bytes(Int(size - start), at: start)
        var records: [tgp_spool_line] = []
        buffer.withUnsafeBytes { bytes in
            var at = 0
            while let feed = bytes[at...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = UnsafeRawBufferPointer(rebasing: bytes[at...feed])
                let lineEnd = UInt32(truncatingIfNeeded: start + Int64(feed) + 1)
                let sum = tgp_spool_sum(line.baseAddress, line.count, lineEnd)
                let isWhole = isEvent(UnsafeRawBufferPointer(rebasing: line.dropLast()))
                records.append(tgp_spool_line(end: lineEnd, sum: isWhole ? sum : ~sum))
                at = feed + 1
            }
            end = start + Int64(at)
        }
        let torn = size - end
        notify(
            .damaged(
                "\(segment.linesPath) has \(records.count) lines without checksums from offset \(start) on"
                    + (torn > 0 ? ", and \(torn) bytes of a torn line, which are cut at offset \(end)" : "")))
        let written = records.withUnsafeBytes { bytes in
            pwrite(sums.descriptor, bytes.baseAddress, bytes.count, off_t(count * Segment.lineBytes)) == bytes.count
        }
        guard written else { throw SpoolError.localIO("unable to write to \(segment.sumsPath)") }
        count += records.count
    }
}
