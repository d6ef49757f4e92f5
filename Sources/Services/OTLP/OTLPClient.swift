import Compression
import HTTP
import JSON
import System

/// Sends requests of an export, and decides what an answer means for them.
package struct OTLPClient: Sendable {
    /// Tells how the collector has answered a request.
    package enum Verdict: Sendable, Equatable {
        case accepted
        /// The collector has taken the rest; these are not sent again.
        case partly(rejected: Int64, reason: String)
        /// The collector does not take them, however often they come.
        case refused(String)
        /// Another attempt may succeed, after the time that the collector asks for.
        case later(String, after: Duration?)
    }

    /// The statuses that ask for another attempt. Source: OTLP specification, "Retryable Response Codes".
    private static let retried: Set<Int> = [429, 502, 503, 504]

    /// The most bytes that gzip adds to a request of a few bytes.
    private static let mostGrowth = 64

    private let client: HTTPClient
    private let settings: OTLPSettings

    package init(_ settings: OTLPSettings, userAgent: String) {
        (self.settings, client) = (settings, HTTPClient(userAgent: userAgent))
    }

    package func send(_ message: OTLPMessage) async throws(CancellationError) -> Verdict {
        var request = HTTPRequest("POST", settings.url)
        request.headers = [("Content-Type", settings.encoding.contentType)] + settings.headers
        var body = settings.encoding == .json ? message.json.bytes : message.protobuf
        if settings.isCompressed, let packed = Zlib.gzip(body, atMost: body.count + OTLPClient.mostGrowth) {
            body = packed
            request.headers.append(("Content-Encoding", "gzip"))
        }
        request.body = .bytes(body)
        request.deadline = settings.timeout
        request.maxBodyBytes = 1 << 20
        let response: HTTPResponse
        do throws(HTTPError) { response = try await client.send(request) } catch {
            if error.code == .cancelled { throw CancellationError() }
            let isFinal = [.invalidURL, .tooLarge, .tls].contains(error.code)
            return isFinal ? .refused(error.message) : .later(error.message, after: nil)
        }
        switch response.status {
        case 200..<300: return OTLPClient.accepted(response)
        case let status where OTLPClient.retried.contains(status):
            return .later("the collector answers \(status)", after: response.head.retryAfter)
        case let status:
            let text = String(decoding: response.body.prefix(200), as: UTF8.self).printable
            return .refused("the collector answers \(status)\(text.isEmpty ? "" : ": \(text)")")
        }
    }

    private static func accepted(_ response: HTTPResponse) -> Verdict {
        let isJSON = response.head.contentType?.lowercased().hasPrefix("application/json") == true
        let found = isJSON ? rejection(json: response.body) : rejection(protobuf: response.body)
        guard found.count > 0 else { return .accepted }
        return .partly(rejected: found.count, reason: found.reason.printable(atMost: 200))
    }

    private static func rejection(json bytes: [UInt8]) -> (count: Int64, reason: String) {
        let partial = (try? JSON(parsing: bytes))?["partialSuccess"]
        let count = partial?["rejectedSpans"]?.long ?? partial?["rejectedLogRecords"]?.long ?? 0
        return (count, partial?["errorMessage"]?.string ?? "")
    }

    /// Reads field 1 (a message with the number in field 1 and the reason in field 2).
    private static func rejection(protobuf bytes: [UInt8]) -> (count: Int64, reason: String) {
        var (count, reason): (Int64, String) = (0, "")
        var outer = ProtobufReader(bytes[...])
        while let field = outer.next() {
            guard field.number == 1, case .bytes(let content) = field.value else { continue }
            var inner = ProtobufReader(content)
            while let field = inner.next() {
                switch (field.number, field.value) {
                case (1, .number(let number)): count = Int64(clamping: number)
                case (2, .bytes(let text)): reason = String(decoding: text, as: UTF8.self)
                default: break
                }
            }
        }
        return (count, reason)
    }
}

/// Reads the fields of a protobuf message, and stops at the first that is malformed.
struct ProtobufReader {
    enum Value { case number(UInt64), bytes(ArraySlice<UInt8>) }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func next() -> (number: UInt64, value: Value)? {
        guard let tag = varint() else { return nil }
        switch tag & 7 {
        case 0: return varint().map { (tag >> 3, .number($0)) }
        case 1: return take(8).map { (tag >> 3, .bytes($0)) }
        case 2:
            guard let count = varint(), count <= UInt64(rest.count) else { return nil }
            return take(Int(count)).map { (tag >> 3, .bytes($0)) }
        case 5: return take(4).map { (tag >> 3, .bytes($0)) }
        default: return nil
        }
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func varint() -> UInt64? {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
        }
        return nil
    }
}
