import Crypto
import HTTP
import JSON
package import Payloads

/// Identifies the media behind a link: links with the same normalized URL lead to the same media.
///
/// The link that is fetched is made from the same parts as the normalized URL, so that what is fetched is what the key
/// names. All links of a known site that certainly name one video get one form. Any other link keeps everything that
/// its site could read; see `NormalizedPage`.
package struct SourceIdentity: Sendable, Hashable {
    /// The given link without user name and password.
    package let sourceURL: String
    /// `https://…`, `http://…`, or `telegram:file/<id>`.
    package let normalizedURL: String
    /// The link to fetch.
    package let fetchURL: String
    /// The host of the normalized URL without `www.`, `m.` and `mobile.` (`youtube.com`), or `telegram`. It is for
    /// people to read: two sites can have the same.
    package let domain: String
    /// The video that yt-dlp must report; nil for a link of an unknown site.
    private let video: KnownVideo?

    /// Is true if the link leads to a page of a known video site, never to a file.
    package var isVideoPage: Bool { video != nil }

    /// Reads a link; nil when it is not an http(s) URL.
    package init?(_ link: String) {
        guard let url = WebURL(link)?.withoutCredentials() else { return nil }
        self.init(url)
    }

    init(_ url: WebURL) {
        sourceURL = url.description
        let page = NormalizedPage(url)
        video = page.isUnambiguous ? knownSites.lazy.compactMap({ $0(page) }).first : nil
        normalizedURL = video?.normalizedURL ?? page.url
        fetchURL = video?.fetchURL ?? page.url
        domain = SourceIdentity.bareHost(video.flatMap { WebURL($0.normalizedURL)?.host } ?? page.host)
    }

    private init(sourceURL: String, domain: String) {
        self.sourceURL = sourceURL
        normalizedURL = sourceURL
        fetchURL = sourceURL
        self.domain = domain
        video = nil
    }

    /// Returns whether a description of yt-dlp's is of the media that the normalized URL names.
    func isMet(by info: VideoInfo) -> Bool {
        guard let video else { return true }
        guard info.extractor == video.extractor else { return false }
        return video.ids.isEmpty || !video.ids.isDisjoint(with: info.ids)
    }

    private static func bareHost(_ given: String) -> String {
        var host = given[...]
        while let prefix = ["www.", "m.", "mobile."].first(where: { host.hasPrefix($0) }),
            host.dropFirst(prefix.count).contains(".")
        {
            host = host.dropFirst(prefix.count)
        }
        return String(host)
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
    /// The SHA-256 of the kind, a line feed and the normalized URL, in lower-case hex. For another form than the usual one, a
    /// line feed and the variant follow.
    package let hash: String
    private let fileExtension: String

    package init(_ kind: MediaKind, _ identity: SourceIdentity, _ variant: MediaVariant = .standard) {
        self.init(kind, normalizedURL: identity.normalizedURL, variant)
    }

    package init(_ kind: MediaKind, normalizedURL: String, _ variant: MediaVariant = .standard) {
        let variant = variant.of(kind)
        self.kind = kind
        fileExtension = variant.audioFormat?.rawValue ?? kind.fileExtension
        let form = variant.isStandard ? "" : "\n\(variant.canonical)"
        hash = SHA256.hexDigest(Array("\(kind.rawValue)\n\(normalizedURL)\(form)".utf8))
    }

    private init(_ kind: MediaKind, hash: String, _ fileExtension: String) {
        (self.kind, self.hash, self.fileExtension) = (kind, hash, fileExtension)
    }

    /// Returns the addresses that can have a hash.
    static func all(hash: String) -> [ContentAddress] {
        [MediaKind.video, .image].map { ContentAddress($0, hash: hash, $0.fileExtension) }
            + MediaVariant.AudioFormat.allCases.map { ContentAddress(.audio, hash: hash, $0.rawValue) }
    }

    /// `video/<hash>.mp4`, `audio/<hash>.mp3` or `image/<hash>.bin`, or the extension of another format of sound.
    package var key: String { "\(kind.rawValue)/\(hash).\(fileExtension)" }

    package var description: String { key }
}
