import CSpool
import Glibc

/// Describes one segment of a spool: `NUMBER.ndjson`, which holds the lines as they arrived, and `NUMBER.sums`, which
/// holds eight bytes for each line: its end and its checksum.
struct Segment: Sendable {
    static let lineBytes = MemoryLayout<tgp_spool_line>.size

    let number: UInt64
    let folder: String
    /// The bytes of the lines.
    var bytes: Int64 = 0
    var lines = 0

    init(number: UInt64, folder: String) { (self.number, self.folder) = (number, folder) }

    /// Reads a segment's name; nil for another file.
    init?(file name: String, folder: String) {
        let suffix = ".ndjson"
        guard name.hasSuffix(suffix), name.utf8.count == 16 + suffix.utf8.count,
            let number = UInt64(name.dropLast(suffix.count), radix: 16)
        else { return nil }
        self.init(number: number, folder: folder)
    }

    private var base: String {
        let digits = String(number, radix: 16)
        return "\(folder)/\(String(repeating: "0", count: 16 - digits.count))\(digits)"
    }

    var linesPath: String { "\(base).ndjson" }
    var sumsPath: String { "\(base).sums" }

    func remove() {
        unlink(linesPath)
        unlink(sumsPath)
    }
}

/// Owns a file descriptor, and closes it.
final class OpenFile: Sendable {
    let descriptor: Int32
    let path: String

    init(_ path: String, _ flags: Int32) throws(SpoolError) {
        self.path = path
        descriptor = open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError.localIO("unable to open \(path)") }
    }

    deinit { close(descriptor) }

    func size() throws(SpoolError) -> Int64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SpoolError.localIO("unable to look at \(path)") }
        return Int64(status.st_size)
    }

    func truncate(to size: Int64) throws(SpoolError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw SpoolError.localIO("unable to shorten \(path)") }
    }

    /// Fills a buffer from an offset; returns the number of bytes, which is smaller only at the file's end.
    func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(SpoolError) -> Int {
        try filled(fill(buffer, at: offset))
    }

    /// Returns the `count` bytes at an offset; fewer only at the file's end.
    func bytes(_ count: Int, at offset: Int64) throws(SpoolError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let read = try filled(bytes.withUnsafeMutableBytes { fill($0, at: offset) })
        bytes.removeLast(count - read)
        return bytes
    }

    /// Returns the records of `count` lines from an index on; fewer only at the end.
    func records(_ count: Int, from index: Int) throws(SpoolError) -> [tgp_spool_line] {
        var records = [tgp_spool_line](repeating: tgp_spool_line(), count: count)
        let read = try filled(records.withUnsafeMutableBytes { fill($0, at: Int64(index * Segment.lineBytes)) })
        records.removeLast(count - read / Segment.lineBytes)
        return records
    }

    private func filled(_ count: Int?) throws(SpoolError) -> Int {
        guard let count else { throw SpoolError.localIO("unable to read \(path)") }
        return count
    }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int? {
        var done = 0
        while done < buffer.count {
            let count = pread(
                descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + off_t(done))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Writes pieces at an offset; the file then ends after them.
    ///
    /// - Returns: the number of bytes written and, when that is not all of them, the reason: no room.
    func write(_ pieces: [iovec], at start: Int64) throws(SpoolError) -> (written: Int, reason: String?) {
        var rest = pieces
        var written = 0
        while !rest.isEmpty {
            let count = pwritev(descriptor, rest, Int32(rest.count), off_t(start) + off_t(written))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                let error = SpoolError.localIO("unable to write to \(path)")
                guard error.isWantOfRoom else { throw error }
                return (written, error.message)
            }
            written += count
            rest.drop(count)
        }
        return (written, nil)
    }
}

extension [iovec] {
    /// Drops the next `count` bytes.
    mutating func drop(_ count: Int) {
        var count = count
        var whole = 0
        while whole < self.count, count >= self[whole].iov_len {
            count -= self[whole].iov_len
            whole += 1
        }
        removeFirst(whole)
        guard count > 0, !isEmpty else { return }
        self[0] = iovec(iov_base: self[0].iov_base + count, iov_len: self[0].iov_len - count)
    }
}
