import HTTP
import JSON

/// What a link identifies: links that lead to the same media have the same normalized URL.
///
/// Folded: scheme, `www.` and mobile hosts, default ports, percent-encoding, the order of the query. Dropped: user names
/// and passwords, fragments, tracking parameters, and on video sites the position to start at. Sites that are known have
/// one form for all their kinds of links.
package struct SourceIdentity: Sendable, Hashable {
    /// The link to fetch: as given, without user name, password and fragment.
    package let sourceURL: String
    /// `https://…`, or `telegram:file/<id>`.
    package let normalizedURL: String
    /// The host of the normalized URL (`youtube.com`), or `telegram`.
    package let domain: String
    /// Whether it is a page of a known video site, never a file itself.
    package let isVideoPage: Bool

    /// Reads a link; nil when it is no http(s) URL.
    package init?(_ link: String) {
        guard let url = WebURL(link)?.withoutCredentials() else { return nil }
        self.init(url)
    }

    init(_ url: WebURL) {
        let text = url.description
        sourceURL = String(text.prefix { $0 != "#" })
        let page = NormalizedPage(url)
        if let canonical = knownSites.lazy.compactMap({ $0(page) }).first {
            normalizedURL = canonical
            isVideoPage = true
        } else {
            normalizedURL = page.url
            isVideoPage = false
        }
        domain = String(normalizedURL.dropFirst("https://".count).prefix { $0 != "/" && $0 != ":" && $0 != "?" })
    }

    private init(sourceURL: String, domain: String) {
        self.sourceURL = sourceURL
        normalizedURL = sourceURL
        self.domain = domain
        isVideoPage = false
    }

    /// A file that was sent in a chat.
    ///
    /// - Parameter uniqueID: Telegram's `file_unique_id`, the same for every bot.
    package static func telegramFile(uniqueID: String) -> SourceIdentity {
        SourceIdentity(sourceURL: "telegram:file/\(percentEncoded(uniqueID))", domain: "telegram")
    }
}
