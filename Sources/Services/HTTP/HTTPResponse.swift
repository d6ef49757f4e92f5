import CCurl
import Glibc

/// Header fields in the order received; names compare without case.
package struct HTTPHeaders: Sendable {
    package private(set) var fields: [(name: String, value: String)] = []

    package init(_ fields: [(name: String, value: String)] = []) {
        self.fields = fields
    }

    /// The first value of a name.
    package subscript(name: String) -> String? {
        let name = name.lowercased()
        return fields.first { $0.name.lowercased() == name }?.value
    }

    /// All values of a name.
    package func values(_ name: String) -> [String] {
        let name = name.lowercased()
        return fields.filter { $0.name.lowercased() == name }.map(\.value)
    }

    mutating func append(_ name: String, _ value: String) {
        fields.append((name, value))
    }
}

/// Status and headers of an answer.
package struct HTTPHead: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    /// The URL that answered, after redirects.
    package var effectiveURL: String

    package init(status: Int, headers: HTTPHeaders, effectiveURL: String) {
        self.status = status
        self.headers = headers
        self.effectiveURL = effectiveURL
    }

    /// The length of the body as the server gave it.
    package var contentLength: Int64? {
        headers["Content-Length"].flatMap { Int64($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }

    /// How long to wait before the next request (RFC 9110, 10.2.3), given in seconds or as a date.
    package var retryAfter: Duration? {
        guard let value = headers["Retry-After"] else { return nil }
        if let seconds = Int64(value) { return seconds >= 0 ? .seconds(seconds) : nil }
        let date = curl_getdate(value, nil)
        return date < 0 ? nil : .seconds(max(0, date - time(nil)))
    }

    /// The media type in lower case, without parameters.
    package var contentType: String? {
        guard let value = headers["Content-Type"], let type = value.split(separator: ";").first else { return nil }
        return type.filter { $0 != " " && $0 != "\t" }.lowercased()
    }
}

/// A whole answer.
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

/// What to do with the body, said when the head has come.
package enum HeadDecision: Sendable {
    case receive
    /// End the transfer here; no error.
    case stop
}
