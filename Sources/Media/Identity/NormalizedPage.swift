import HTTP
import JSON

/// A URL after the rules that hold for every site.
struct NormalizedPage {
    /// Without `www.`, `m.` and `mobile.`.
    let host: String
    let port: Int?
    /// Normalized, with the leading slash.
    let path: String
    /// What identifies, sorted by name.
    let query: [(name: String, value: String?)]

    init(_ url: WebURL) {
        let host = NormalizedPage.bareHost(url.host)
        self.host = host
        port = url.port == 443 ? nil : url.port
        path = NormalizedPage.normalized(url.path, keeping: "/!$&'()*+,;=:@")
        let isVideoSite = videoSites.contains { host == $0 || host.hasSuffix("." + $0) }
        query = NormalizedPage.items(url.query ?? "")
            .filter { !isTracking($0.name) && !(isVideoSite && positionParameters.contains($0.name)) }
            .enumerated().sorted { ($0.element.name, $0.offset) < ($1.element.name, $1.offset) }.map(\.element)
    }

    /// The parts of the path between slashes, without empty ones.
    var segments: [String] { path.split(separator: "/").map(String.init) }

    func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    var url: String {
        let isIPv6 = host.contains(":")
        let authority = (isIPv6 ? "[\(host)]" : host) + (port.map { ":\($0)" } ?? "")
        let items = query.map { item in item.value.map { "\(item.name)=\($0)" } ?? item.name }
        return "https://\(authority)\(path)" + (items.isEmpty ? "" : "?" + items.joined(separator: "&"))
    }

    private static func bareHost(_ given: String) -> String {
        var host = given[...]
        if host.hasSuffix(".") { host = host.dropLast() }
        while let prefix = ["www.", "m.", "mobile."].first(where: { host.hasPrefix($0) }),
            host.dropFirst(prefix.count).contains(".")
        {
            host = host.dropFirst(prefix.count)
        }
        return String(host)
    }

    private static func items(_ query: String) -> [(name: String, value: String?)] {
        query.split(separator: "&").map { item in
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            func text(_ part: Substring) -> String {
                normalized(String(part.map { $0 == "+" ? " " : $0 }), keeping: "/!$'()*,;:@?=")
            }
            return (text(parts[0]), parts.count > 1 ? text(parts[1]) : nil)
        }
    }

    /// One spelling of percent-encoded text: unreserved characters and those kept are plain when they were plain, the
    /// unreserved ones when they were not, and hex digits are upper case.
    private static func normalized(_ text: String, keeping: String) -> String {
        var result = ""
        var rest = text[...]
        while let escape = rest.firstIndex(of: "%") {
            result += percentEncoded(rest[..<escape], keeping: keeping)
            let code = rest[escape...].prefix(3)
            let bytes = percentDecodedBytes(code)
            result += bytes.count == 1 ? percentEncoded(bytes: bytes) : "%25"
            rest = rest[escape...].dropFirst(bytes.count == 1 ? 3 : 1)
        }
        return result + percentEncoded(rest, keeping: keeping)
    }
}
