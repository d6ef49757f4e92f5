import CCurl
package import JSON
import Glibc

/// Holds header fields in the order received. Names compare without case.
package struct HTTPHeaders: Sendable {
    package private(set) var fields: [(name: String, value: String)] = []

    package init(_ fields: [(name: String, value: String)] = []) {
        self.fields = fields
    }

    /// Returns the first value of a name.
    package subscript(name: String) -> String? {
        let name = name.lowercased()
        return fields.first { $0.name.lowercased() == name }?.value
    }

    /// Returns all values of a name.
    package func values(_ name: String) -> [String] {
        let name = name.lowercased()
        return fields.filter { $0.name.lowercased() == name }.map(\.value)
    }

    mutating func append(_ name: String, _ value: String) {
        fields.append((name, value))
    }
}

/// Holds status and headers of an answer.
package struct HTTPHead: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    /// The URL that sent the answer, after redirects.
    package var effectiveURL: String

    package init(status: Int, headers: HTTPHeaders, effectiveURL: String) {
        self.status = status
        self.headers = headers
        self.effectiveURL = effectiveURL
    }

    /// The length of the body in bytes, as the server gave it.
    package var contentLength: Int64? {
        headers["Content-Length"].flatMap { Int64($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }

    /// The pause that the server asks for before the next request (RFC 9110, 10.2.3), given in seconds or as a date. It is
    /// a year at most: any server may ask for any pause.
    package var retryAfter: Duration? {
        guard let value = headers["Retry-After"] else { return nil }
        if let seconds = Int64(value) { return seconds >= 0 ? .requestedPause(seconds: seconds) : nil }
        let date = curl_getdate(value, nil)
        return date < 0 ? nil : .requestedPause(seconds: Int64(date - time(nil)))
    }

    /// Returns the time in a header, such as `Date` or `Last-Modified`; nil if there is none.
    package func date(_ name: String) -> Timestamp? { headers[name].flatMap { Timestamp(httpDate: $0) } }

    /// The encodings of the body, such as `gzip`; nil for a body that is sent as it is.
    package var contentEncoding: String? {
        let value = headers["Content-Encoding"].map { $0.filter { $0 != " " }.lowercased() } ?? ""
        return value.isEmpty || value == "identity" ? nil : value
    }

    /// The media type of the body, in lower case and without parameters.
    package var contentType: String? {
        guard let value = headers["Content-Type"], let type = value.split(separator: ";").first else { return nil }
        return type.filter { $0 != " " && $0 != "\t" }.lowercased()
    }
}

/// Holds a complete answer.
package struct HTTPResponse: Sendable {
    package var head: HTTPHead
    package var body: [UInt8]

    package init(head: HTTPHead, body: [UInt8]) {
        self.head = head
        self.body = body
    }

    package var status: Int { head.status }
    package var headers: HTTPHeaders { head.headers }
    package var effectiveURL: String { head.effectiveURL }
}

/// Decides, once the head has arrived, what happens to the body.
package enum HeadDecision: Sendable {
    case receive
    /// The transfer ends here, without an error.
    case stop
}

/// Builds the head of an answer from its lines. A new status line (after a redirect, or 100 Continue) starts over.
struct IncomingHead {
    private(set) var status = 0
    private(set) var headers = HTTPHeaders()
    /// The bytes of all lines of all heads.
    private(set) var totalBytes = 0
    private var isOpen = false

    /// Is true if the answer is a redirect.
    var isRedirect: Bool { (300..<400).contains(status) && !(headers["Location"] ?? "").isEmpty }

    /// Reads one line; returns true when it ends the head.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        totalBytes += bytes.count
        let line = trimmed(bytes[...])
        if line.isEmpty {
            defer { isOpen = false }
            return isOpen
        }
        if line.starts(with: "HTTP/".utf8), !isOpen {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
            status = words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) ?? 0 : 0
            headers = HTTPHeaders()
            isOpen = true
        } else if isOpen, let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            let name = trimmed(line[..<colon])
            let value = trimmed(line[line.index(after: colon)...])
            headers.append(String(decoding: name, as: UTF8.self), IncomingHead.text(value))
        }
        return false
    }

    /// Returns a value as text. Bytes that are not UTF-8 are Latin-1, the character set of headers in HTTP/1.0.
    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    private func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var result = bytes
        while let byte = result.first, byte == 0x20 || byte == 0x09 { result = result.dropFirst() }
        while let byte = result.last, byte == 0x20 || byte == 0x09 || byte == 0x0d || byte == 0x0a {
            result = result.dropLast()
        }
        return result
    }
}

extension Timestamp {
    /// Reads `Sat, 21 Nov 2026 19:03:06 GMT`; nil for any other form.
    ///
    /// Source: RFC 9110, 5.6.7
    package init?(httpDate text: String) {
        let words = text.split(separator: " ")
        guard text.utf8.count <= 40, words.count == 6, words[5] == "GMT",
            let month = Timestamp.months.firstIndex(of: String(words[2])), let day = Int(words[1])
        else { return nil }
        let twoDigits = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        self.init("\(words[3])-\(twoDigits(month + 1))-\(twoDigits(day))T\(words[4])Z")
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
