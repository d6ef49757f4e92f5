import JSON
package import Payloads
import System

/// Lists the videos that a link leads to: those of a playlist, a channel or a feed, or the parts of a post.
package struct MediaList: Sendable, Equatable {
    package struct Item: Sendable, Equatable {
        /// The link of the video's own page or file; nil for a part of the list's page, which has none.
        package let url: String?
        /// The place in the list, from 1 on.
        package let place: Int64
        package let title: String?
        /// Is true if the place, and not the link alone, names the item.
        package let isPart: Bool
        /// Names a file of a gallery wherever it stands; see `MediaVariant.itemID`.
        package var fileID: String?
        /// The file of a gallery.
        package var file: GalleryFile?
    }

    package let title: String?
    /// The number of videos in the whole list, if the site tells it.
    package let count: Int64?
    package let items: [Item]
    /// Is true for a gallery that has pictures, and not only videos.
    package let hasPictures: Bool

    init(title: String?, count: Int64?, items: [Item], hasPictures: Bool) {
        (self.title, self.count, self.items, self.hasPictures) = (title, count, items, hasPictures)
    }

    /// Reads yt-dlp's answer.
    ///
    /// - Parameters:
    ///   - link: the link that was asked about.
    ///   - range: the places that were asked for.
    /// - Returns: nil if the link leads to one video, and to no list.
    init?(_ answer: JSONObject, of link: String, _ range: ItemRange) {
        var list = answer
        // A page that only leads to a list is a list of one.
        while let entries = list["entries"]?.array, entries.count == 1, let only = entries.first?.object,
            only["entries"]?.array != nil
        {
            list = only
        }
        guard let entries = list["entries"]?.array else { return nil }
        title = list["title"]?.string.flatMap { OneLine($0)?.text }
        count = list["playlist_count"]?.int.flatMap { MediaVariant.items.contains($0) ? $0 : nil }
        let pages = [link, list["webpage_url"]?.string].compactMap { $0.flatMap { SourceIdentity($0)?.normalizedURL } }
        let places = list["requested_entries"]?.array ?? []
        var items: [Item] = []
        for (number, entry) in entries.prefix(Int(clamping: range.count)).enumerated() {
            // yt-dlp leaves out what it cannot list, and tells the places of the others.
            let place =
                entry["playlist_index"]?.int
                ?? (places.indices.contains(number) ? places[number].int : nil) ?? range.first + Int64(number)
            guard entry.object != nil, MediaVariant.items.contains(place) else { continue }
            let url = MediaList.link(of: entry, in: pages)
            items.append(
                Item(
                    url: url, place: place, title: entry["title"]?.string.flatMap { OneLine($0)?.text },
                    isPart: url == nil))
        }
        self.items = items
        hasPictures = false
    }

    /// Returns the link of an entry that is a page or a file of its own.
    private static func link(of entry: JSON, in pages: [String]) -> String? {
        let kind = entry["_type"]?.string ?? "video"
        let link = (kind.hasPrefix("url") ? entry["url"] : entry["webpage_url"])?.string
        guard let link, let identity = SourceIdentity(link) else { return nil }
        return pages.contains(identity.normalizedURL) ? nil : link
    }
}

extension SourceIdentity {
    /// Is true if the link may lead to several videos: it is neither a page of a site that shows one video on each, nor a file.
    package var mayLeadToSeveral: Bool {
        if isVideoPage { return SourceIdentity.sitesOfPosts.contains(domain) && !fetchURL.contains("/video/") }
        return !isFile
    }

    /// Is true if the link's ending is that of a file that is no page.
    package var isFile: Bool {
        let path = fetchURL.prefix { $0 != "?" && $0 != "#" }
        guard let name = path.split(separator: "/").last, let dot = name.lastIndex(of: ".") else { return false }
        return SourceIdentity.files.contains(name[name.index(after: dot)...].lowercased())
    }

    /// The sites whose posts can hold several videos.
    private static let sitesOfPosts: Set<String> = ["twitter.com", "instagram.com", "reddit.com", "facebook.com"]

    /// The extensions of files that are no pages.
    private static let files: Set<String> = [
        "mp4", "m4v", "mov", "webm", "mkv", "avi", "flv", "ts", "mpg", "mpeg", "3gp", "ogv", "m3u8", "mpd", "mp3",
        "m4a",
        "aac", "ogg", "oga", "opus", "wav", "flac", "jpg", "jpeg", "png", "gif", "webp", "pdf", "zip", "gz", "txt",
    ]
}

extension MediaFetcher {
    /// Lists the videos of a link.
    ///
    /// - Parameters:
    ///   - range: the wanted places. One more is asked for, to see whether the list goes on.
    ///   - isAskedFor: whether the person wants a list, so that a link to a video in a list means the list.
    ///   - readsAccountPages: whether the list may be one of the account that the program is signed in with.
    /// - Returns: nil if the link leads to one video. The list has up to one item more than the range.
    /// - Throws: `MediaError`.
    package func list(
        _ identity: SourceIdentity, _ range: ItemRange, isAskedFor: Bool, readsAccountPages: Bool = true
    ) async throws(MediaError) -> MediaList? {
        let range = ItemRange(range.first, min(range.last + 1, MediaVariant.items.upperBound)) ?? range
        let url = isAskedFor ? identity.sourceURL : identity.fetchURL
        return try await withExtractor(for: identity, readsAccountPages: readsAccountPages) {
            ytDlp throws(MediaError) in
            MediaList(try await ytDlp.list(url, range), of: url, range)
        }
    }
}

extension MediaList {
    /// The link of the first entry if that is a list itself: the page of a YouTube channel lists its tabs.
    package var firstList: SourceIdentity? {
        guard let identity = items.first?.url.flatMap({ SourceIdentity($0) }), identity.domain == "youtube.com",
            !identity.isVideoPage
        else { return nil }
        return identity
    }
}
