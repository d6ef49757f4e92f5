import Glibc
import HTTP

/// The head of a request to the proxy.
struct ProxyRequest {
    private let method: String
    private let requestTarget: String
    private let headers: [(name: String, value: String)]
    /// What came after the head already.
    let bytesAfterHead: [UInt8]

    /// Reads a head; nil when none comes in time, or it is too long, or none at all.
    static func read(from client: Int32) -> ProxyRequest? {
        var bytes: [UInt8] = []
        let deadline = ContinuousClock.now + .seconds(30)
        while bytes.count < 64 << 10 {
            if let end = bytes.firstRange(of: [13, 10, 13, 10]) {
                return ProxyRequest(
                    String(decoding: bytes[..<end.lowerBound], as: UTF8.self), Array(bytes[end.upperBound...]))
            }
            guard let more = Relay.receive(client, until: deadline) else { return nil }
            bytes += more
        }
        return nil
    }

    init?(_ head: String, _ rest: [UInt8]) {
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines[0].split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, words[2].hasPrefix("HTTP/1.") else { return nil }
        method = String(words[0])
        requestTarget = String(words[1])
        headers = lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        bytesAfterHead = rest
    }

    var isTunnel: Bool { method == "CONNECT" }

    var authorization: String? { headers.first { $0.name.lowercased() == "proxy-authorization" }?.value }

    /// Where to connect; nil when the request does not say so properly.
    var target: (host: String, port: Int)? {
        guard let url = WebURL(isTunnel ? "https://\(requestTarget)/" : requestTarget) else { return nil }
        // Plain requests are for http only: https goes through a tunnel.
        if !isTunnel, url.scheme != "http" { return nil }
        return (url.host, url.port ?? (isTunnel ? 443 : 80))
    }

    /// The head as the server gets it: for its own path, without what is meant for a proxy, and for one request.
    var forwardedHead: [UInt8] {
        guard let url = WebURL(requestTarget) else { return [] }
        let path = url.path + (url.query.map { "?\($0)" } ?? "")
        var text = "\(method) \(path) HTTP/1.1\r\n"
        for (name, value) in headers
        where !["proxy-authorization", "proxy-connection", "connection"].contains(name.lowercased()) {
            text += "\(name): \(value)\r\n"
        }
        return Array((text + "Connection: close\r\n\r\n").utf8)
    }
}
