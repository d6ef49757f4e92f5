import Glibc

extension Slice<UnsafeRawBufferPointer> {
    /// The index of the first line feed. `memchr`, because the generic search costs several times more and this is the hot loop.
    var firstFeed: Int? {
        guard let start = base.baseAddress, !isEmpty else { return nil }
        guard let found = memchr(start + startIndex, 0x0A, count) else { return nil }
        return UnsafeRawPointer(found) - start
    }
}
