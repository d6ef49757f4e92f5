import HTTP
import JSON

/// Reads a page's URL in the one spelling that all equivalent URLs have.
///
/// Only equivalent URLs become equal: what two servers, or two pages of one server, could answer differently stays
/// different. That includes the scheme, `www.`, the order of the parameters and the fragment, by which some sites name
/// their pages. Parameters of advertisers and mailing services, which no site uses itself, are removed.
struct NormalizedPage {
    /// The normalized URL.
    let url: String
    let host: String
    /// The path's parts between slashes, without empty ones.
    let segments: [String]
    /// The decoded parameters; nil if one occurs twice or is not text, so that readers could disagree about its value.
    private let parameters: [String: String]?
    private let hasOwnPort: Bool

    init(_ url: WebURL) {
        host = url.host
        hasOwnPort = url.port != nil
        let path = NormalizedPage.normalized(url.path)
        segments = path.split(separator: "/").map(String.init)
        let items = (url.query ?? "").split(separator: "&", omittingEmptySubsequences: false).map(String.init)
        parameters = NormalizedPage.parameters(items)
        let kept = items.filter { !isTracking(NormalizedPage.decoded($0.prefix { $0 != "=" }) ?? "") }
        let query = NormalizedPage.normalized(kept.joined(separator: "&"))
        let fragment = NormalizedPage.pageFragment(NormalizedPage.normalized(url.fragment ?? ""))
        let authority =
            (host.contains(":") ? "[\(host)]" : host) + (url.port.map { ":\($0)" } ?? "")
        self.url =
            "\(url.scheme)://\(authority)\(path)" + (query.isEmpty ? "" : "?\(query)")
            + (fragment.isEmpty ? "" : "#\(fragment)")
    }

    /// Is true if the URL can only be read in one way, as the rules for known sites require.
    var isUnambiguous: Bool { !hasOwnPort && parameters != nil }

    func parameter(_ name: String) -> String? { parameters?[name] }

    /// Returns whether the page is on a registered domain, or on one of the subdomains.
    func isOn(_ domain: String, _ subdomains: String...) -> Bool {
        host == domain || subdomains.contains { host == "\($0).\(domain)" }
    }

    /// Returns the segment in the place of `:` in the first pattern that the whole path matches. `*` stands for any
    /// segment.
    func segment(in patterns: String...) -> String? {
        for pattern in patterns {
            let words = pattern.split(separator: "/").map(String.init)
            guard words.count == segments.count,
                zip(words, segments).allSatisfy({ $0 == ":" || $0 == "*" || $0 == $1 })
            else { continue }
            return words.firstIndex(of: ":").map { segments[$0] }
        }
        return nil
    }

    private static func parameters(_ items: [String]) -> [String: String]? {
        var parameters: [String: String] = [:]
        for item in items where !item.isEmpty {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decoded(parts[0]), let value = decoded(parts.count > 1 ? parts[1] : ""),
                parameters.updateValue(value, forKey: name) == nil
            else { return nil }
        }
        return parameters
    }

    private static func decoded(_ text: some StringProtocol) -> String? {
        percentDecoded(String(text.map { $0 == "+" ? " " : $0 }))
    }

    /// Returns a fragment as far as it can name a page.
    ///
    /// The second to start at does not (`t=30`, W3C Media Fragments, 4.2.1). Nor does what yt-dlp would read as a message
    /// of one of its extractors to another: whoever writes a link must not write such messages.
    private static func pageFragment(_ fragment: String) -> String {
        let isTime = fragment.hasPrefix("t=") && fragment.dropFirst(2).allSatisfy { "0123456789.,:s".contains($0) }
        return isTime || fragment.contains("__youtubedl_smuggle") ? "" : fragment
    }

    /// Returns percent-encoded text in one spelling: hex digits are upper case, and unreserved characters are decoded
    /// (RFC 3986, 6.2.2), except the dot, which would change the path.
    private static func normalized(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while let escape = rest.firstIndex(of: "%") {
            result += rest[..<escape]
            let bytes = percentDecodedBytes(rest[escape...].prefix(3))
            let isEscape = bytes.count == 1 && rest[escape...].count >= 3
            result += !isEscape ? "%" : bytes == [UInt8(ascii: ".")] ? "%2E" : percentEncoded(bytes: bytes)
            rest = rest[escape...].dropFirst(isEscape ? 3 : 1)
        }
        return result + rest
    }
}

/// Returns whether a query parameter serves advertisers and mailing services on every site, and no site itself.
func isTracking(_ name: String) -> Bool { name.hasPrefix("utm_") || trackingParameters.contains(name) }

private let trackingParameters: Set<String> = [
    "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "msclkid", "yclid", "ysclid", "twclid", "ttclid",
    "li_fat_id", "igsh", "igshid", "mc_cid", "mc_eid", "mkt_tok", "_hsenc", "_hsmi", "_openstat", "oly_anon_id",
    "oly_enc_id", "vero_id", "__twitter_impression", "_branch_match_id", "_branch_referrer",
]
