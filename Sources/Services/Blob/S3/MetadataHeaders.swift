import HTTP
import JSON
import System

/// Writes metadata as S3 headers, and reads it.
///
/// S3 takes ASCII only, 2 KB in all, and several servers no value over 256 bytes. Values are therefore
/// percent-encoded, and a long value continues under `name--2`, `name--3`, …
enum MetadataHeaders {
    static let prefix = "x-amz-meta-"
    static let maxValueBytes = 256
    static let maxTotalBytes = 2048

    /// Returns the headers for metadata.
    ///
    /// - Throws: `.invalid` for a malformed name or type; `.tooLarge` for more than S3 takes.
    static func headers(for metadata: BlobMetadata) throws(BlobError) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        if let contentType = metadata.contentType {
            try checkContentType(contentType)
            headers.append(("content-type", contentType))
        }
        if let fileName = metadata.fileName, !fileName.isEmpty {
            headers.append(("content-disposition", ContentDisposition.attachment(ObjectName.harmless(fileName))))
        }
        var total = 0
        for (name, value) in metadata.user.sorted(by: { $0.key < $1.key }) {
            try checkName(name)
            for (index, piece) in pieces(of: encoded(value)).enumerated() {
                let header = prefix + (index == 0 ? name : "\(name)--\(index + 1)")
                total += header.utf8.count + piece.utf8.count
                headers.append((header, piece))
            }
        }
        guard total <= maxTotalBytes else {
            throw BlobError(.tooLarge, "the metadata has \(total) bytes; S3 accepts at most \(maxTotalBytes)")
        }
        return headers
    }

    /// Returns the metadata in headers, which may have any order and case.
    static func metadata(in headers: [(name: String, value: String)]) -> BlobMetadata {
        var metadata = BlobMetadata()
        var pieces: [String: [Int: String]] = [:]
        for header in headers {
            let name = header.name.lowercased()
            switch name {
            case "content-type":
                metadata.contentType = header.value
            case "content-disposition":
                metadata.fileName = ContentDisposition.fileName(in: header.value).map(ObjectName.harmless)
            default:
                guard name.hasPrefix(prefix) else { continue }
                let (base, number) = piece(String(name.dropFirst(prefix.count)))
                pieces[base, default: [:]][number] = header.value
            }
        }
        for (name, values) in pieces {
            let joined = values.sorted { $0.key < $1.key }.map(\.value).joined()
            metadata.user[name] = percentDecoded(joined) ?? joined
        }
        return metadata
    }

    static func checkName(_ name: String) throws(BlobError) {
        let isPlain = name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
        }
        guard isPlain, (1...64).contains(name.utf8.count), !name.hasPrefix("-"), !name.hasSuffix("-"),
            !name.contains("--")
        else {
            throw BlobError(
                .invalid,
                "a metadata name must have 1 to 64 lower-case letters and digits, with single '-' between them")
        }
    }

    static func checkContentType(_ type: String) throws(BlobError) {
        let halves = type.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy({ !$0.isEmpty }), type.utf8.count <= maxValueBytes,
            type.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else { throw BlobError(.invalid, "a content type must be TYPE/SUBTYPE, such as video/mp4") }
    }

    /// Percent-encodes the characters that are not plain in a header. `=?` is encoded too: it would begin an RFC 2047
    /// word, which some servers decode.
    private static func encoded(_ value: String) -> String {
        let pieces = value.split(separator: "=?", omittingEmptySubsequences: false)
        return pieces.map { percentEncoded($0, keeping: plain) }.joined(separator: "=%3F")
    }

    /// The characters that RFC 3986 allows in a URL: most values are URLs or plain words.
    private static let plain = ":/?#[]@!$&'()*+,;="

    /// Cuts a value into pieces of the greatest length that every server takes, never within a `%XX`.
    private static func pieces(of value: String) -> [String] {
        var pieces: [String] = []
        var rest = Array(value.utf8)[...]
        while !rest.isEmpty {
            var end = min(rest.startIndex + maxValueBytes, rest.endIndex)
            if end < rest.endIndex, let percent = rest[..<end].suffix(2).firstIndex(of: UInt8(ascii: "%")) {
                end = percent
            }
            pieces.append(String(decoding: rest[..<end], as: UTF8.self))
            rest = rest[end...]
        }
        return pieces
    }

    /// Returns the name and the piece's number: `title--3` is piece 3 of `title`, and `title` is its piece 1.
    private static func piece(_ name: String) -> (base: String, number: Int) {
        let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }.count
        let base = name.dropLast(digits)
        guard let number = Int(name.suffix(digits)), (2...99).contains(number), base.hasSuffix("--") else {
            return (name, 1)
        }
        return (String(base.dropLast(2)), number)
    }
}

/// Makes an object's file name fit for a header. Unlike `FileName.safe` it keeps every visible character, so that a name that was
/// stored comes back as it was.
enum ObjectName {
    static let maxBytes = 200

    /// Returns the name without slashes, backslashes and control characters, cut to 200 bytes.
    static func harmless(_ name: String) -> String {
        var result = ""
        for character in FileName.cut(name, toBytes: maxBytes) {
            let isControl = character.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
            result += isControl || character == "/" || character == "\\" ? "_" : String(character)
        }
        return result == "." || result == ".." ? "_" : result
    }
}
