/// Describes a request and its limits.
package struct HTTPRequest: Sendable {
    package var method: String
    /// The absolute URL, http or https.
    package var url: String
    /// The headers in order. An empty value sends an empty header; CR, LF or NUL in a name or value is an error.
    package var headers: [(name: String, value: String)] = []
    package var body: HTTPBody = .none
    /// The time limit for name resolution, connecting and the TLS handshake together.
    package var connectTimeout: Duration = .seconds(10)
    /// The longest time in which no byte moves in either direction.
    package var stallTimeout: Duration = .seconds(30)
    /// Is false if the server must not get the request twice: libcurl would send it again when a connection that was used
    /// before breaks without an answer.
    package var isRepeatable = true
    /// The rate below which a transfer fails; nil accepts any rate.
    package var minimumRate: MinimumRate?
    /// The time limit for the whole call.
    package var deadline: Duration?
    /// The most redirects to follow; with 0 a redirect is an answer like any other.
    package var maxRedirects: Int = 0
    package var addressPolicy: AddressPolicy = .any
    /// Is true if the body of the answer is decoded, should the server have encoded it (`Content-Encoding`).
    package var decodesContent = false
    /// The longest body that `send` collects, in bytes; `stream` has no limit.
    package var maxBodyBytes: Int = 8 << 20
    /// Called on the client's thread with the number of bytes of the body sent so far, when it has grown.
    package var onUpload: (@Sendable (_ sentBytes: Int64) -> Void)?

    package init(_ method: String = "GET", _ url: String) {
        self.method = method
        self.url = url
    }
}

extension HTTPRequest {
    /// Sets a rate in bytes a second, on average over each window.
    package struct MinimumRate: Sendable {
        package var bytesPerSecond: Double
        package var window: Duration

        package init(bytesPerSecond: Double, over window: Duration) {
            self.bytesPerSecond = bytesPerSecond
            self.window = window
        }
    }
}

/// The body of a request.
package enum HTTPBody: Sendable {
    case none
    case bytes([UInt8])
    /// A range of a file, streamed from disk.
    case file(FileRange)
    /// `multipart/form-data`, whose files are streamed from disk.
    case multipart([FormPart])
}

/// Describes a range of an open file.
///
/// The caller owns the descriptor and keeps it open until the call returns. It is read with `pread`, so its offset
/// neither matters nor moves.
package struct FileRange: Sendable {
    package var descriptor: Int32
    package var offset: Int64
    package var count: Int64

    package init(descriptor: Int32, offset: Int64, count: Int64) {
        self.descriptor = descriptor
        self.offset = offset
        self.count = count
    }
}

/// Describes one field of a form.
package struct FormPart: Sendable {
    package enum Value: Sendable {
        case bytes([UInt8])
        case file(FileRange)
    }

    package var name: String
    package var fileName: String?
    package var contentType: String?
    package var value: Value

    package init(name: String, fileName: String? = nil, contentType: String? = nil, value: Value) {
        self.name = name
        self.fileName = fileName
        self.contentType = contentType
        self.value = value
    }

    /// Makes a text field.
    package init(name: String, text: String) {
        self.init(name: name, value: .bytes(Array(text.utf8)))
    }
}
