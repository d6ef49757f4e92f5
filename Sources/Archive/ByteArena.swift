import Glibc

/// Holds the bytes of many values in one piece of memory, which is kept for the next batch.
final class ByteArena {
    /// The place of a value; a value that is absent has no count.
    struct Span: Equatable {
        static let absent = Span(offset: 0, count: -1)

        var offset: Int
        var count: Int

        var isAbsent: Bool { count < 0 }
    }

    /// Memory beyond this size is given back after a batch, because one long line must not occupy it for ever.
    private static let keptBytes = 6 << 20
    /// The room for a full batch. Memory that was never written to takes no space.
    private static let usualBytes = 5 << 20

    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var used = 0

    init() {
        capacity = ByteArena.usualBytes
        memory = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { memory.deallocate() }

    func removeAll() {
        used = 0
        guard capacity > ByteArena.keptBytes else { return }
        memory.deallocate()
        capacity = ByteArena.usualBytes
        memory = .allocate(byteCount: capacity, alignment: 16)
    }

    func append(_ bytes: UnsafeRawBufferPointer) -> Span {
        reserve(bytes.count)
        if let start = bytes.baseAddress { (memory + used).copyMemory(from: start, byteCount: bytes.count) }
        defer { used += bytes.count }
        return Span(offset: used, count: bytes.count)
    }

    /// Appends the value that the pieces that `write` hands over make together.
    func append(_ write: ((UnsafeRawBufferPointer) -> Void) -> Void) -> Span {
        let start = used
        write { _ = append($0) }
        return Span(offset: start, count: used - start)
    }

    /// Returns the bytes of a value, which stay where they are until the next `append`; nil if it is absent.
    func bytes(_ span: Span) -> UnsafeRawBufferPointer? {
        span.isAbsent ? nil : UnsafeRawBufferPointer(start: memory + span.offset, count: span.count)
    }

    func text(_ span: Span) -> String? { bytes(span).map { String(decoding: $0, as: UTF8.self) } }

    func areEqual(_ left: Span, _ right: Span) -> Bool {
        guard let left = bytes(left), let right = bytes(right) else { return left.isAbsent && right.isAbsent }
        return left.isEqual(to: right)
    }

    private func reserve(_ count: Int) {
        guard used + count > capacity else { return }
        let bigger = max(used + count, capacity * 2)
        let new = UnsafeMutableRawPointer.allocate(byteCount: bigger, alignment: 16)
        new.copyMemory(from: memory, byteCount: used)
        memory.deallocate()
        (memory, capacity) = (new, bigger)
    }
}

extension UnsafeRawBufferPointer {
    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count, let baseAddress, let start = other.baseAddress else { return count == other.count }
        return memcmp(baseAddress, start, count) == 0
    }
}
