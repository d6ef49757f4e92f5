import Glibc

/// Supplies the bytes of a request's body to libcurl, from pieces of memory and of files one after the other.
struct BodySource {
    enum Piece {
        case bytes([UInt8])
        case file(FileRange)

        var count: Int64 {
            switch self {
            case .bytes(let bytes): Int64(bytes.count)
            case .file(let range): range.count
            }
        }
    }

    let pieces: [Piece]
    let count: Int64
    /// The media type of the body's form, when it has one.
    let contentType: String?
    private var piece = 0
    private var offset: Int64 = 0

    /// Returns nil for a request without a body.
    init?(_ body: HTTPBody) {
        switch body {
        case .none: return nil
        case .bytes(let bytes): self.init([.bytes(bytes)])
        case .file(let range): self.init([.file(range)])
        case .multipart(let parts): self.init(form: parts, boundary: BodySource.randomBoundary())
        }
    }

    private init(_ pieces: [Piece], contentType: String? = nil) {
        self.pieces = pieces
        self.contentType = contentType
        count = pieces.reduce(0) { $0 + $1.count }
    }

    /// Copies the next bytes; returns 0 at the end.
    ///
    /// - Throws: `localIO` when a file cannot be read, or has become shorter.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(HTTPError) -> Int {
        while piece < pieces.count {
            let left = pieces[piece].count - offset
            if left > 0 {
                let count = Int(min(left, Int64(buffer.count)))
                let slice = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                let copied = try copy(pieces[piece], into: slice)
                offset += Int64(copied)
                return copied
            }
            piece += 1
            offset = 0
        }
        return 0
    }

    /// Goes to a position, counted from the start, to send the body again.
    mutating func seek(to position: Int64) {
        piece = 0
        offset = position
        while piece < pieces.count, offset > pieces[piece].count {
            offset -= pieces[piece].count
            piece += 1
        }
    }

    private func copy(_ piece: Piece, into buffer: UnsafeMutableRawBufferPointer) throws(HTTPError) -> Int {
        switch piece {
        case .bytes(let bytes):
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: .init(rebasing: $0[Int(offset)..<Int(offset) + buffer.count]))
            }
            return buffer.count
        case .file(let range):
            var got = pread(range.descriptor, buffer.baseAddress, buffer.count, off_t(range.offset + offset))
            while got < 0 && errno == EINTR {
                got = pread(range.descriptor, buffer.baseAddress, buffer.count, off_t(range.offset + offset))
            }
            guard got >= 0 else {
                throw HTTPError(.localIO, "unable to read the file to send: \(String(cString: strerror(errno)))")
            }
            guard got > 0 else { throw HTTPError(.localIO, "the file to send became shorter while it was sent") }
            return got
        }
    }
}

// MARK: - multipart/form-data (RFC 7578)

extension BodySource {
    private init(form parts: [FormPart], boundary: String) {
        var pieces: [Piece] = []
        for part in parts {
            var head = "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(BodySource.quoted(part.name))\""
            if let fileName = part.fileName { head += "; filename=\"\(BodySource.quoted(fileName))\"" }
            if let type = part.contentType { head += "\r\nContent-Type: \(BodySource.quoted(type))" }
            pieces.append(.bytes(Array((head + "\r\n\r\n").utf8)))
            switch part.value {
            case .bytes(let bytes): pieces.append(.bytes(bytes))
            case .file(let range): pieces.append(.file(range))
            }
            pieces.append(.bytes(Array("\r\n".utf8)))
        }
        pieces.append(.bytes(Array("--\(boundary)--\r\n".utf8)))
        self.init(pieces, contentType: "multipart/form-data; boundary=\(boundary)")
    }

    /// Percent-encodes the characters that would end the quoted text or the line, as browsers do.
    private static func quoted(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "%22"
            case "\r": result += "%0D"
            case "\n": result += "%0A"
            case "\0": result += "%00"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func randomBoundary() -> String {
        "tgpipe-" + String(UInt64.random(in: .min ... .max), radix: 16)
            + String(UInt64.random(in: .min ... .max), radix: 16)
    }
}
