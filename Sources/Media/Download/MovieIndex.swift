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
    private let margin: Int64
    /// The boxes before the index that are looked at. A file of millions of tiny ones would cost more time than it saves.
    private static let mostBoxes = 1000

    private var count = 0
    private var state = State.looking
    private var position: Int64 = 0
    private var nextLook: Int64 = 16

    init(margin: Int64 = 4 << 20) { self.margin = margin }

    /// Is true if the file has no index at its beginning, or one that a probe cannot use.
    var isGivenUp: Bool { if case .givenUp = state { true } else { false } }

    /// Returns true once, when the index has become complete.
    ///
    /// - Parameter size: the bytes of the file that are written.
    mutating func becomesComplete(in file: BoxSource, size: Int64) -> Bool {
        guard size >= nextLook else { return false }
        while case .looking = state, size >= nextLook { look(file, size) }
        guard case .complete(let end) = state else { return false }
        nextLook = end + margin
        guard size >= nextLook else { return false }
        giveUp()
        return true
    }

    private mutating func look(_ file: BoxSource, _ size: Int64) {
        guard let box = box(file, at: position), position > 0 || box.name == "ftyp" else {
            return giveUp()
        }
        switch box.name {
        case "moov" where size < box.end: nextLook = box.end
        case "moov":
            let isFragmented = children(of: box, file)?.contains("mvex") ?? true
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
    private func children(of parent: MovieBox, _ file: BoxSource) -> [String]? {
        var names: [String] = []
        var position = parent.start + parent.headerBytes
        while position + 8 <= parent.end {
            guard names.count < 4096, let child = box(file, at: position), child.end <= parent.end else {
                return nil
            }
            names.append(child.name)
            position = child.end
        }
        return names
    }

    private func box(_ file: BoxSource, at position: Int64) -> MovieBox? {
        // A size of 0 means a box up to the file's end, which no box of interest is.
        MovieBox(file, at: position).flatMap { $0.isOpenEnded || $0.end >= .max - margin ? nil : $0 }
    }
}

/// Describes the top level of an MP4 or QuickTime file.
package struct MovieLayout {
    /// Is true if the index follows the pictures, so that a player cannot begin before it has the whole file.
    private(set) var hasIndexAtEnd = false
    private var hasIndex = false
    private var hasPictures = false
    private var contentEnd: Int64 = 0
    private var count = 0
    /// The position of the next box; nil if there is none that matters.
    private(set) var next: Int64? = 0

    /// Begins a layout, to which boxes are added.
    init() {}

    /// Reads a file's boxes; nil when it is not an MP4 or QuickTime file, or cannot be read.
    init?(ofFile path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size = Int64(lseek(descriptor, 0, SEEK_END))
        guard size > 0 else { return nil }
        while let next, next < size { add(MovieBox(.file(descriptor), at: next)) }
        guard isMovie else { return nil }
        isCutOff = isCutOff(at: size)
    }

    /// Is true if a box is longer than the file: the file's end is missing.
    private(set) var isCutOff = false

    /// Is true if the file begins as such a file does.
    var isMovie: Bool { count > 0 }

    /// Returns whether a file whose boxes were all added should be longer than this.
    func isCutOff(at sizeBytes: Int64) -> Bool { isMovie && (contentEnd > sizeBytes || hasPictures && !hasIndex) }

    /// Adds the box at `next`, if there is one.
    fileprivate mutating func add(_ box: MovieBox?) {
        guard let box, count > 0 || MovieLayout.first.contains(box.name) else { return next = nil }
        switch box.name {
        case "moov": (hasIndexAtEnd, hasIndex) = (hasPictures, true)
        case "moof": hasIndex = true
        case "mdat": hasPictures = hasPictures || !hasIndex
        default: break
        }
        // Other boxes, which hold nothing that is shown, may be longer than they should be.
        if !box.isOpenEnded, MovieLayout.content.contains(box.name) { contentEnd = max(contentEnd, box.end) }
        count += 1
        next = box.isOpenEnded || count >= MovieLayout.mostBoxes ? nil : box.end
    }

    private static let mostBoxes = 100_000

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

/// Follows the top level of a file whose bytes pass by.
struct MovieWalk {
    private(set) var layout = MovieLayout()
    /// The bytes of the next box's head so far.
    private var head: [UInt8] = []

    /// - Parameter offset: the position of the bytes in the file.
    mutating func pass(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
        while let next = layout.next {
            let from = Int(clamping: next + Int64(head.count) - offset)
            guard from >= 0, from < bytes.count else { return }
            head += bytes[from..<min(from + MovieBox.headBytes - head.count, bytes.count)]
            guard head.count == MovieBox.headBytes else { return }
            take()
        }
    }

    /// Returns whether the file's end is missing, if these were all bytes.
    func isCutOff(at sizeBytes: Int64) -> Bool {
        var walk = self
        if !walk.head.isEmpty { walk.take() }
        return walk.layout.isCutOff(at: sizeBytes)
    }

    private mutating func take() {
        let start = layout.next ?? 0
        layout.add(MovieBox(head, at: start))
        // A box can be shorter than the head of the longest kind.
        head = layout.next.map { Array(head.dropFirst(Int(clamping: $0 - start))) } ?? []
    }
}

/// Says where the heads of boxes are read from.
enum BoxSource {
    case file(Int32)
    case memory([UInt8])
}

/// Describes a box of an MP4 or QuickTime file.
private struct MovieBox {
    var name: String
    var start: Int64
    var headerBytes: Int64
    var end: Int64
    /// Is true if the box extends to the file's end.
    var isOpenEnded: Bool

    static let headBytes = 16

    /// Reads the head of a box; nil when there is none.
    init?(_ source: BoxSource, at position: Int64) {
        switch source {
        case .file(let descriptor):
            var bytes = [UInt8](repeating: 0, count: MovieBox.headBytes)
            let count = pread(descriptor, &bytes, bytes.count, off_t(position))
            self.init(Array(bytes.prefix(max(0, count))), at: position)
        case .memory(let bytes):
            self.init(Array(bytes.dropFirst(Int(clamping: position)).prefix(MovieBox.headBytes)), at: position)
        }
    }

    /// Reads the head of a box of its first bytes, up to 16; nil if they are none.
    init?(_ bytes: [UInt8], at position: Int64) {
        guard bytes.count >= 8 else { return nil }
        let bytes = bytes + [UInt8](repeating: 0, count: max(0, MovieBox.headBytes - bytes.count))
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
