import Glibc

/// Places in memory where whole lines are.
struct Places {
    private(set) var pieces: [iovec] = []
    private(set) var bytes = 0
    private(set) var events = 0

    init() { pieces.reserveCapacity(512) }

    /// Adds lines that follow each other.
    mutating func add(_ lines: UnsafeMutableRawPointer, bytes added: Int, events: Int = 1) {
        bytes += added
        self.events += events
        if let last = pieces.indices.last, pieces[last].iov_base + pieces[last].iov_len == lines {
            pieces[last].iov_len += added
        } else {
            pieces.append(iovec(iov_base: lines, iov_len: added))
        }
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

/// Whole lines on their way to one output: where they were read, or copied together. Belongs to one thread at a time.
final class Parcel: @unchecked Sendable {
    /// Small copies get room for more.
    private static let copyBytes = 256 << 10

    private(set) var places: Places
    private let leases: [BlockLease]
    private let copy: UnsafeMutableRawBufferPointer?

    /// Lines in blocks, which are kept in memory for it.
    init(_ places: Places, in leases: [BlockLease]) {
        self.places = places
        self.leases = leases
        copy = nil
    }

    /// An empty parcel for copies.
    init(room: Int) {
        places = Places()
        leases = []
        copy = .allocate(byteCount: max(room, Parcel.copyBytes), alignment: 64)
    }

    deinit { copy?.deallocate() }

    var bytes: Int { places.bytes }

    /// Whether it keeps blocks in memory.
    var holdsBlocks: Bool { !leases.isEmpty }

    /// How many bytes can be copied into it.
    var room: Int { copy.map { $0.count - bytes } ?? 0 }

    /// Adds a copy of lines; there must be room.
    func append(copying lines: UnsafeRawBufferPointer, events: Int) {
        guard let copy, lines.count <= room, let place = copy.baseAddress.map({ $0 + bytes }) else { return }
        UnsafeMutableRawBufferPointer(start: place, count: lines.count).copyMemory(from: lines)
        places.add(place, bytes: lines.count, events: events)
    }

    func append(copying other: Parcel) {
        var events = other.places.events
        for piece in other.places.pieces {
            append(copying: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len), events: events)
            events = 0
        }
    }
}

extension Sequence<UInt8> {
    /// How many lines end here.
    var lineFeeds: Int { reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) } }
}
