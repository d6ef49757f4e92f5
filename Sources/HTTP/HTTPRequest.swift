/// One request and its limits.
public struct HTTPRequest: Sendable {
    public var method: String
    /// Absolute, http or https.
    public var url: String
    /// In order. A value of "" sends an empty header; CR, LF or NUL in a name or value is an error.
    public var headers: [(name: String, value: String)] = []
    public var body: HTTPBody = .none
    /// For name resolution, connecting and the TLS handshake together.
    public var connectTimeout: Duration = .seconds(10)
    /// How long no byte may move in either direction.
    public var stallTimeout: Duration = .seconds(30)
    /// What trickles more slowly has failed; nil: anything that moves is well.
    public var minimumRate: MinimumRate?
    /// For the whole call.
    public var deadline: Duration?
    /// 0: a redirect is an answer like any other.
    public var maxRedirects: Int = 0
    public var addressPolicy: AddressPolicy = .any
    /// How long a body `send` collects; `stream` has no limit.
    public var maxBodyBytes: Int = 8 << 20
    /// Called on the client's thread with the bytes of the body sent so far, when they grew.
    public var onUpload: (@Sendable (_ sentBytes: Int64) -> Void)?

    public init(_ method: String = "GET", _ url: String) {
        self.method = method
        self.url = url
    }
}

extension HTTPRequest {
    /// So many bytes a second, on average over each window.
    public struct MinimumRate: Sendable {
        public var bytesPerSecond: Double
        public var window: Duration

        public init(bytesPerSecond: Double, over window: Duration) {
            self.bytesPerSecond = bytesPerSecond
            self.window = window
        }
    }
}

/// What a request carries.
public enum HTTPBody: Sendable {
    case none
    case bytes([UInt8])
    /// Streamed from disk.
    case file(FileRange)
    /// `multipart/form-data`, files in it streamed from disk.
    case multipart([FormPart])
}

/// A part of an open file.
///
/// The caller owns the descriptor and keeps it open until the call returns. It is read with `pread`: its offset neither
/// matters nor moves.
public struct FileRange: Sendable {
    public var descriptor: Int32
    public var offset: Int64
    public var count: Int64

    public init(descriptor: Int32, offset: Int64, count: Int64) {
        self.descriptor = descriptor
        self.offset = offset
        self.count = count
    }
}

/// One field of a form.
public struct FormPart: Sendable {
    public enum Value: Sendable {
        case bytes([UInt8])
        case file(FileRange)
    }

    public var name: String
    public var fileName: String?
    public var contentType: String?
    public var value: Value

    public init(name: String, fileName: String? = nil, contentType: String? = nil, value: Value) {
        self.name = name
        self.fileName = fileName
        self.contentType = contentType
        self.value = value
    }

    /// A field of text.
    public init(name: String, text: String) {
        self.init(name: name, value: .bytes(Array(text.utf8)))
    }
}
