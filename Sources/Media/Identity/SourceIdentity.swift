import Crypto
import HTTP
import JSON
package import Payloads

/// Identifies the media behind a link: links to the same media have the same normalized URL.
///
/// Normalizing makes the scheme, `www.` and mobile hosts, default ports, percent-encoding and the order of the query
/// uniform. It removes user names and passwords, fragments, tracking parameters and, on video sites, the position to
/// start at. All links of a known site to the same media get one form.
package struct SourceIdentity: Sendable, Hashable {
    /// The link to fetch: the given one without user name, password and fragment.
    package let sourceURL: String
    /// `https://…`, or `telegram:file/<id>`.
    package let normalizedURL: String
    /// The host of the normalized URL (`youtube.com`), or `telegram`.
    package let domain: String
    /// Is true if the link leads to a page of a known video site, never to a file.
    package let isVideoPage: Bool

    /// Reads a link; nil when it is not an http(s) URL.
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

    /// Identifies a file that was sent in a chat.
    ///
    /// - Parameter uniqueID: Telegram's `file_unique_id`, the same for every bot.
    package static func telegramFile(uniqueID: String) -> SourceIdentity {
        SourceIdentity(sourceURL: "telegram:file/\(percentEncoded(uniqueID))", domain: "telegram")
    }
}

/// Names an object in storage. The name is derived from the request, so that equal requests find the same object.
package struct ContentAddress: Sendable, Hashable, CustomStringConvertible {
    package let kind: MediaKind
    /// The SHA-256 of the kind, a line feed and the normalized URL, in lower-case hex.
    package let hash: String

    package init(_ kind: MediaKind, _ identity: SourceIdentity) {
        self.init(kind, normalizedURL: identity.normalizedURL)
    }

    package init(_ kind: MediaKind, normalizedURL: String) {
        self.kind = kind
        hash = SHA256.hexDigest(Array("\(kind.rawValue)\n\(normalizedURL)".utf8))
    }

    init(_ kind: MediaKind, hash: String) {
        self.kind = kind
        self.hash = hash
    }

    /// `video/<hash>.mp4` or `audio/<hash>.mp3`.
    package var key: String { "\(kind.rawValue)/\(hash).\(kind.fileExtension)" }

    package var description: String { key }
}
