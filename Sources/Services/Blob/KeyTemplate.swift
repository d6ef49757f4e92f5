import System

/// Makes the keys of objects from what is known about a file: `{chat}/{date}/{message_id}-{name}`.
///
/// All values are a stranger's texts. Each becomes a part of a file name: without a `/`, without characters that steer the
/// display, and of limited length.
package struct KeyTemplate: Sendable, Equatable {
    /// The names that may stand between braces.
    package enum Field: String, Sendable, CaseIterable {
        case chat
        case chatName = "chat_name"
        case messageID = "message_id"
        case user
        case date
        case year
        case month
        case day
        case time
        case name
        case stem
        case ext
        case title
        case performer
        case kind
        case domain
        case sha256
        case key
    }

    private enum Piece: Sendable, Equatable {
        case literal(String)
        case field(Field)
    }

    private let pieces: [Piece]
    /// The text that stands for a value that is not known.
    private static let unknown = "unknown"
    private static let mostValueBytes = 120
    /// A file store accepts no longer parts.
    private static let mostPartBytes = 250

    /// - Throws: `.configuration` for an unknown name, an open brace, and a text that no key can have.
    package init(_ text: String) throws(BlobError) {
        var pieces: [Piece] = []
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            if open != rest.startIndex { pieces.append(.literal(String(rest[..<open]))) }
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw BlobError(.configuration, "the key '\(text.printable)' has a '{' without a '}'")
            }
            let name = String(rest[rest.index(after: open)..<close])
            guard let field = Field(rawValue: name) else {
                let known = Field.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
                throw BlobError(.configuration, "the key has an unknown field {\(name.printable)}; there are \(known)")
            }
            pieces.append(.field(field))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { pieces.append(.literal(String(rest))) }
        self.pieces = pieces
        do throws(BlobError) { _ = try key([:]) } catch { throw BlobError(.configuration, error.message) }
    }

    /// Is true if the key is the same for every file.
    package var isFixed: Bool { !pieces.contains { if case .field = $0 { true } else { false } } }

    /// Fills in what is known about a file.
    ///
    /// - Throws: `.invalid` for a key that no store accepts.
    package func key(_ values: [Field: String]) throws(BlobError) -> String {
        let filled = pieces.map { piece in
            switch piece {
            case .literal(let text): text
            case .field(let field):
                values[field].flatMap { FileName.safe($0, maxBytes: KeyTemplate.mostValueBytes) } ?? KeyTemplate.unknown
            }
        }.joined()
        var parts = filled.split(separator: "/", omittingEmptySubsequences: false).map {
            FileName.cut(String($0), toBytes: KeyTemplate.mostPartBytes)
        }
        // Nobody can give a file a name that makes it the object of somebody else's source.
        if !isFixed, let name = parts.last, parts.count > 1, KeyTemplate.isContentAddress(parts[parts.count - 2], name)
        {
            parts[parts.count - 1] = "_\(name)"
        }
        let key = parts.joined(separator: "/")
        try ObjectKey.check(key)
        return key
    }

    /// Returns whether the last parts of a key have the form of a content address, such as `video/<64 hexadecimal digits>.mp4`.
    private static func isContentAddress(_ folder: String, _ name: String) -> Bool {
        let hash = name.utf8.prefix(64)
        let isHex = hash.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        return ["video", "audio", "image", "blob"].contains(folder) && hash.count == 64 && isHex
    }

    /// Returns the key for a file whose key another file has already: with the beginning of its SHA-256 before the extension.
    package static func distinct(_ key: String, sha256: String) -> String {
        let slash = key.lastIndex(of: "/").map { key.index(after: $0) } ?? key.startIndex
        let (folder, name) = (key[..<slash], String(key[slash...]))
        let stem = FileName.stem(name)
        let ending = "-\(sha256.prefix(12))\(name.dropFirst(stem.count))"
        return folder + FileName.cut(stem, toBytes: mostPartBytes - ending.utf8.count) + ending
    }
}
