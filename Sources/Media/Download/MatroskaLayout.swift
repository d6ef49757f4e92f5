import Glibc

/// Describes the top level of a complete Matroska or WebM file.
///
/// Source: RFC 8794 (EBML), 4 to 6 and 11.1; RFC 9559 (Matroska), 5.1.
struct MatroskaLayout {
    /// Is true if the segment, which holds everything that is shown, is longer than the file: the file's end is missing.
    let isCutOff: Bool

    private static let header: UInt64 = 0x1A45_DFA3
    private static let segment: UInt64 = 0x1853_8067

    /// Reads the beginning of a file; nil when it is no Matroska file, or cannot be read.
    init?(ofFile path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size = Int64(lseek(descriptor, 0, SEEK_END))
        guard let header = Element(descriptor, at: 0), header.id == MatroskaLayout.header, var position = header.end
        else {
            return nil
        }
        // Only padding can come between the two.
        for _ in 0..<16 where position < size {
            guard let element = Element(descriptor, at: position) else { break }
            if element.id == MatroskaLayout.segment {
                // A recorder that cannot go back leaves the length open.
                isCutOff = element.end.map { $0 > size } ?? false
                return
            }
            guard let end = element.end else { break }
            position = end
        }
        isCutOff = true
    }

    /// The head of an element.
    private struct Element {
        let id: UInt64
        /// The place behind the element; nil if its length is unknown.
        let end: Int64?

        /// Reads a head; nil when there is none.
        init?(_ descriptor: Int32, at position: Int64) {
            var bytes = [UInt8](repeating: 0, count: 12)
            let count = pread(descriptor, &bytes, bytes.count, off_t(position))
            guard count > 0, let idLength = Element.length(bytes[0], atMost: 4), idLength < count,
                let sizeLength = Element.length(bytes[idLength], atMost: 8), idLength + sizeLength <= count
            else { return nil }
            func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
            id = number(0..<idLength)
            let most = (UInt64(1) << (7 * sizeLength)) - 1
            let size = number(idLength..<idLength + sizeLength) & most
            let (sum, overflow) = position.addingReportingOverflow(Int64(size) + Int64(idLength + sizeLength))
            end = size == most ? nil : overflow ? .max : sum
        }

        /// Returns the number of bytes of a number whose first byte this is; nil if that is more than it can be.
        private static func length(_ first: UInt8, atMost limit: Int) -> Int? {
            first.leadingZeroBitCount < limit ? first.leadingZeroBitCount + 1 : nil
        }
    }
}

/// Tells from a file's own structure whether its end is missing.
func isCutOff(_ path: String) -> Bool {
    MovieLayout(ofFile: path)?.isCutOff ?? MatroskaLayout(ofFile: path)?.isCutOff ?? false
}
