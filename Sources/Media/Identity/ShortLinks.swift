package import HTTP

/// Follows the short links of redirect services to the links that they stand for.
package struct ShortLinks: Sendable {
    private let hosts: Set<String>
    private let client: HTTPClient
    private let policy: AddressPolicy
    private let isLeftToExtractor: @Sendable (WebURL) -> Bool

    /// Makes a resolver.
    ///
    /// - Parameters:
    ///   - additionalHosts: services beside the well-known ones; a host, or `host:port`.
    ///   - isLeftToExtractor: returns true for a link that this resolver must not request.
    package init(
        additionalHosts: [String] = [], addressPolicy: AddressPolicy = .publicOnly,
        isLeftToExtractor: @escaping @Sendable (WebURL) -> Bool = { _ in false }
    ) {
        self.isLeftToExtractor = isLeftToExtractor
        hosts = Set(ShortLinks.knownHosts + additionalHosts.map { $0.lowercased() })
        policy = addressPolicy
        // These services answer browsers with a page that redirects by script, and other clients with a redirect.
        client = HTTPClient(userAgent: "curl/8.5.0")
    }

    /// Returns the identity of a link, after following it while it is a short one.
    ///
    /// The page at the end is not requested. A short link that redirects nowhere, or to a login, keeps its own
    /// identity.
    ///
    /// - Throws: `MediaError`: `invalidURL`, or the failure of a request.
    package func resolve(_ link: String) async throws(MediaError) -> SourceIdentity {
        guard var url = WebURL(link)?.withoutCredentials() else {
            throw MediaError(.invalidURL, "That is not a web link.")
        }
        var cookies = HostCookies()
        for _ in 0..<6 where isShort(url) && !isLeftToExtractor(url) {
            guard let next = try await redirect(of: url, &cookies), !isLogin(next) else { break }
            url = next.withoutCredentials()
        }
        return SourceIdentity(url)
    }

    /// Returns whether only a request can tell what the link means.
    package func isShort(_ url: WebURL) -> Bool {
        let host = url.host.hasPrefix("www.") ? String(url.host.dropFirst(4)) : url.host
        if hosts.contains(host) || hosts.contains("\(host):\(url.port ?? 0)") { return true }
        let segments = url.path.split(separator: "/")
        switch host {
        case "reddit.com", "old.reddit.com": return segments.count >= 4 && segments[2] == "s"
        case "tiktok.com", "m.tiktok.com": return segments.first == "t"
        case "facebook.com", "m.facebook.com", "instagram.com": return segments.first == "share"
        case "api.pinterest.com": return segments.first == "url_shortener"
        default: return false
        }
    }

    private func redirect(of url: WebURL, _ cookies: inout HostCookies) async throws(MediaError) -> WebURL? {
        var request = HTTPRequest("GET", url.description)
        request.addressPolicy = policy
        request.stallTimeout = .seconds(10)
        request.deadline = .seconds(15)
        if let cookie = cookies.header(for: url) { request.headers.append(("Cookie", cookie)) }
        do {
            let head = try await client.stream(request, onHead: { _ in .stop }, onBody: { _ in })
            cookies.take(head, from: url)
            guard (300..<400).contains(head.status), let location = head.headers["Location"] else { return nil }
            return url.resolving(location)
        } catch {
            throw MediaError(error)
        }
    }

    private func isLogin(_ url: WebURL) -> Bool {
        url.path.split(separator: "/").contains { $0 == "login" || $0 == "login.php" || $0 == "accounts" }
    }

    private static let knownHosts = [
        "t.co", "bit.ly", "j.mp", "tinyurl.com", "goo.gl", "is.gd", "v.gd", "ow.ly", "buff.ly", "cutt.ly", "rb.gy",
        "shorturl.at",
        "t.ly", "lnkd.in", "vm.tiktok.com", "vt.tiktok.com", "fb.watch", "fb.me", "pin.it", "on.soundcloud.com",
        "b23.tv",
        "v.redd.it", "spoti.fi", "amzn.to", "youtube.app.goo.gl", "clck.ru", "vk.cc", "dlvr.it", "trib.al",
    ]
}

/// Keeps the cookies that hosts set while one link is followed: some redirect in a circle until they get them back.
///
/// Each host gets its own cookies only, over the scheme by which it set them.
private struct HostCookies {
    private static let most = 20
    private static let longest = 4096

    private var values: [String: [String: String]] = [:]

    mutating func take(_ head: HTTPHead, from url: WebURL) {
        for field in head.headers.values("Set-Cookie") {
            let pair = field.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[0].isEmpty, field.utf8.count <= HostCookies.longest,
                pair.allSatisfy({ $0.utf8.allSatisfy { $0 > 0x1F && $0 < 0x7F } })
            else { continue }
            let name = String(pair[0])
            guard values[key(url), default: [:]].count < HostCookies.most || values[key(url)]?[name] != nil else {
                continue
            }
            values[key(url), default: [:]][name] = String(pair[1])
        }
    }

    func header(for url: WebURL) -> String? {
        guard let known = values[key(url)], !known.isEmpty else { return nil }
        return known.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "; ")
    }

    private func key(_ url: WebURL) -> String { "\(url.scheme)://\(url.host):\(url.port ?? 0)" }
}
