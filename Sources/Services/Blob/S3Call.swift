import HTTP

/// One S3 operation, before it is signed.
struct S3Call: Sendable {
    var method: String
    /// Prefix included; nil for the bucket itself.
    var key: String?
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body: HTTPBody = .none
    /// Hex SHA-256 of the body, or `UNSIGNED-PAYLOAD`.
    var payloadHash = SigV4.emptyPayload
    /// Statuses besides 2xx that the caller has a use for.
    var expected: Set<Int> = []
    /// Only if the object is not there: a 409, a 412, and the refusal of a server that knows no conditions, are answers.
    var isConditional = false
    var onUpload: (@Sendable (Int64) -> Void)?
    /// Where a good answer's body goes; nil collects it.
    var download: S3Download?

    init(_ method: String, key: String?) {
        self.method = method
        self.key = key
    }

    /// When the call counts as lost: never before five minutes, and 16 KiB a second of what is sent. A download, whose size is
    /// not known yet, has a day; both end earlier when nothing moves for a minute.
    var deadline: Duration {
        if download != nil { return .seconds(24 * 3600) }
        guard case .file(let range) = body else { return .seconds(300) }
        return .seconds(300 + range.count / (16 << 10))
    }
}

/// An answer, and how many attempts it took.
struct S3Answer: Sendable {
    var response: HTTPResponse
    /// Earlier attempts whose fate is unknown: they may have done their work before the connection broke.
    var isRepeated: Bool

    var status: Int { response.status }
    var xml: XMLAnswer { XMLAnswer(response.body) }
}
