import Envelope
import Glibc

/// Whole lines on their way to one output: where they were read, or copied together. Belongs to one thread at a time.
final class Parcel: @unchecked Sendable {
    /// Small copies get room for more.
    private static let copyBytes = 256 << 10

    private let lease: BlockLease?
    private let copy: UnsafeMutableRawBufferPointer?
    private(set) var pieces: [iovec] = []
    private(set) var bytes = 0
    private(set) var events = 0

    /// An empty parcel for lines of a block, which it keeps in memory.
    init(_ lease: BlockLease) {
        self.lease = lease
        copy = nil
        pieces.reserveCapacity(512)
    }

    /// An empty parcel for copies.
    init(room: Int) {
        lease = nil
        let room = max(room, Parcel.copyBytes)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 64)
        copy = memory
        pieces = [iovec(iov_base: memory.baseAddress, iov_len: 0)]
    }

    deinit { copy?.deallocate() }

    /// Whether it keeps a block in memory.
    var holdsBlock: Bool { lease != nil }

    /// How many bytes can be copied into it.
    var room: Int { copy.map { $0.count - bytes } ?? 0 }

    /// Adds a line of the block.
    func append(_ line: UnsafeMutableRawPointer, count: Int) {
        bytes += count
        events += 1
        if let last = pieces.indices.last, pieces[last].iov_base + pieces[last].iov_len == line {
            pieces[last].iov_len += count
        } else {
            pieces.append(iovec(iov_base: line, iov_len: count))
        }
    }

    /// Adds a copy of lines; there must be room.
    func append(copying lines: UnsafeRawBufferPointer, events added: Int) {
        guard let copy, lines.count <= room else { return }
        UnsafeMutableRawBufferPointer(rebasing: copy[bytes...]).copyMemory(from: lines)
        bytes += lines.count
        events += added
        pieces[0].iov_len = bytes
    }

    func append(copying other: Parcel) {
        for piece in other.pieces {
            append(copying: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len), events: 0)
        }
        events += other.events
    }

    /// How many lines end in the first `count` bytes.
    func events(inFirst count: Int) -> Int {
        var rest = count
        var events = 0
        for piece in pieces where rest > 0 {
            let part = min(rest, piece.iov_len)
            events += UnsafeRawBufferPointer(start: piece.iov_base, count: part).lineFeeds
            rest -= part
        }
        return events
    }
}

extension Sequence<UInt8> {
    /// How many lines end here.
    var lineFeeds: Int { reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) } }
}
