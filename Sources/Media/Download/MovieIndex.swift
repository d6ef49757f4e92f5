import Glibc
import System

/// Finds out when the index of an MP4 file is complete, while the file is still being written.
///
/// Files made for the web have their index (`moov`) before the pictures, so they can be probed while they arrive. Two
/// kinds of files are given up: a fragmented file's index is incomplete, and an index at the end comes too late to
/// save time.
/// Source: ISO/IEC 14496-12, 4.2 (boxes), 8.2.1 (moov), 8.8.1 (mvex).
struct MovieIndex {
    private enum State {
        case looking
        case complete(at: Int64)
        case givenUp
    }

    /// The bytes after the index that a probe reads of the pictures.
    private static let margin: Int64 = 4 << 20
    /// The boxes before the index that are looked at. A file of millions of tiny ones would cost more time than it saves.
    private static let mostBoxes = 1000

    private var count = 0
    private var state = State.looking
    private var position: Int64 = 0
    private var nextLook: Int64 = 16

    /// Returns true once, when the index has become complete.
    ///
    /// - Parameter size: the bytes of the file that are written.
    mutating func becomesComplete(in descriptor: Int32, size: Int64) -> Bool {
        guard size >= nextLook else { return false }
        while case .looking = state, size >= nextLook { look(descriptor, size) }
        guard case .complete(let end) = state else { return false }
        nextLook = end + MovieIndex.margin
        guard size >= nextLook else { return false }
        giveUp()
        return true
    }

    private mutating func look(_ descriptor: Int32, _ size: Int64) {
        guard let box = MovieIndex.box(descriptor, at: position), position > 0 || box.name == "ftyp" else {
            return giveUp()
        }
        switch box.name {
        case "moov" where size < box.end: nextLook = box.end
        case "moov":
            let isFragmented = MovieIndex.children(of: box, descriptor)?.contains("mvex") ?? true
            if isFragmented { giveUp() } else { state = .complete(at: box.end) }
        case "mdat", "moof": giveUp()
        default:
            count += 1
            guard count < MovieIndex.mostBoxes else { return giveUp() }
            position = box.end
            nextLook = position + 16
        }
    }

    private mutating func giveUp() {
        state = .givenUp
        nextLook = .max
    }

    /// Returns the names of the boxes in a box; nil when the box is malformed.
    private static func children(of parent: MovieBox, _ descriptor: Int32) -> [String]? {
        var names: [String] = []
        var position = parent.start + parent.headerBytes
        while position + 8 <= parent.end {
            guard names.count < 4096, let child = box(descriptor, at: position), child.end <= parent.end else {
                return nil
            }
            names.append(child.name)
            position = child.end
        }
        return names
    }

    private static func box(_ descriptor: Int32, at position: Int64) -> MovieBox? {
        // A size of 0 means a box up to the file's end, which no box of interest is.
        MovieBox(descriptor, at: position).flatMap { $0.isOpenEnded || $0.end >= .max - margin ? nil : $0 }
    }
}

/// Describes the top level of a complete MP4 or QuickTime file.
package struct MovieLayout {
    /// Is true if the index follows the pictures, so that a player cannot begin before it has the whole file.
    private(set) var hasIndexAtEnd = false
    /// Is true if a box is longer than the file: the file's end is missing.
    private(set) var isCutOff = false

    /// Reads a file's boxes; nil when it is not an MP4 or QuickTime file, or cannot be read.
    init?(ofFile path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size = Int64(lseek(descriptor, 0, SEEK_END))
        guard size > 0 else { return nil }
        var (position, count) = (Int64(0), 0)
        var (hasIndex, hasPictures) = (false, false)
        while position < size, count < 100_000 {
            guard let box = MovieBox(descriptor, at: position), position > 0 || MovieLayout.first.contains(box.name)
            else {
                if position == 0 { return nil }
                break
            }
            switch box.name {
            case "moov": (hasIndexAtEnd, hasIndex) = (hasPictures, true)
            case "moof": hasIndex = true
            case "mdat": hasPictures = hasPictures || !hasIndex
            default: break
            }
            // Other boxes, which hold nothing that is shown, may be longer than they should be.
            if box.end > size, MovieLayout.content.contains(box.name) { isCutOff = true }
            if box.isOpenEnded { break }
            (position, count) = (box.end, count + 1)
        }
        if hasPictures, !hasIndex { isCutOff = true }
    }

    /// Returns whether a file is an MP4 or QuickTime file that a player can play before it has the whole file.
    package static func isStreamable(_ path: String) async -> Bool {
        await BlockingThread().run {
            guard let layout = MovieLayout(ofFile: path) else { return false }
            return !layout.hasIndexAtEnd && !layout.isCutOff
        }
    }

    private static let first: Set<String> = [
        "ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp", "moof", "sidx",
    ]
    private static let content: Set<String> = ["moov", "mdat", "moof"]
}

/// Describes a box of an MP4 or QuickTime file.
private struct MovieBox {
    var name: String
    var start: Int64
    var headerBytes: Int64
    var end: Int64
    /// Is true if the box extends to the file's end.
    var isOpenEnded: Bool

    /// Reads the head of a box; nil when there is none.
    init?(_ descriptor: Int32, at position: Int64) {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard pread(descriptor, &bytes, 16, off_t(position)) >= 8 else { return nil }
        func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        let isLong = number(0..<4) == 1
        let size = isLong ? number(8..<16) : number(0..<4)
        isOpenEnded = !isLong && size == 0
        guard isOpenEnded || size >= (isLong ? 16 : 8), let length = Int64(exactly: size) else { return nil }
        let (end, overflow) = position.addingReportingOverflow(length)
        guard !overflow else { return nil }
        name = String(decoding: bytes[4..<8], as: UTF8.self)
        start = position
        headerBytes = isLong ? 16 : 8
        self.end = end
    }
}
