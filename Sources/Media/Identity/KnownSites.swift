/// Names a video of a known site.
struct KnownVideo: Sendable, Hashable {
    /// The URL that the video's key is made from.
    let normalizedURL: String
    /// The URL to fetch, which names the same video and nothing else.
    let fetchURL: String
    /// The extractor by which yt-dlp must report the video (`extractor_key`).
    let extractor: String
    /// The ids by which yt-dlp must report the video; empty if the site's links do not have the id.
    let ids: Set<String>

    init(_ normalizedURL: String, fetch fetchURL: String? = nil, _ extractor: String, _ ids: String...) {
        self.normalizedURL = normalizedURL
        self.fetchURL = fetchURL ?? normalizedURL
        self.extractor = extractor
        self.ids = Set(ids)
    }
}

/// Returns the video that a page's URL names; nil when it is not of that site, or not certain to name one video.
///
/// A rule matches whole hosts, whole paths and whole ids: what it does not know may mean something else.
typealias SiteRule = @Sendable (NormalizedPage) -> KnownVideo?

let knownSites: [SiteRule] = [
    youTube, twitter, vimeo, instagram, tikTok, reddit, dailymotion, twitch, facebook, soundCloud, bilibili, streamable,
    vk, pinterest,
]

extension String {
    /// Is true if the text is a number as sites write ids.
    fileprivate var isNumber: Bool { consists(of: 1...20) { (0x30...0x39).contains($0) } }

    /// Is true if the text has only ASCII letters, digits, `-` and `_`.
    fileprivate func isIdentifier(_ length: ClosedRange<Int> = 1...100) -> Bool {
        consists(of: length) { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    /// Is true if the text has only lower-case ASCII letters and digits.
    fileprivate func isLowercaseWord(_ length: ClosedRange<Int>) -> Bool {
        consists(of: length) { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
    }

    private func consists(of length: ClosedRange<Int>, _ isAllowed: (UInt8) -> Bool) -> Bool {
        length.contains(utf8.count) && utf8.allSatisfy(isAllowed)
    }
}

@Sendable private func youTube(_ page: NormalizedPage) -> KnownVideo? {
    let candidate: String?
    if page.isOn("youtu.be", "www") {
        candidate = page.segment(in: ":")
    } else if page.isOn("youtube.com", "www", "m", "music") || page.isOn("youtube-nocookie.com", "www")
        || page.host == "youtube.googleapis.com"
    {
        candidate =
            page.segments == ["watch"]
            ? page.parameter("v")
            : page.segment(in: "shorts/:", "live/:", "v/:", "e/:", "watch/:")
                // With a list, the player plays the list.
                ?? (page.parameter("list") == nil ? page.segment(in: "embed/:") : nil)
    } else {
        return nil
    }
    // The player's words for the list or the live stream that a parameter names have the form of an id.
    guard let id = candidate, id.isIdentifier(11...11), id != "videoseries", id != "live_stream" else { return nil }
    return KnownVideo(
        "https://youtube.com/watch?v=\(id)", fetch: "https://www.youtube.com/watch?v=\(id)", "Youtube", id)
}

@Sendable private func twitter(_ page: NormalizedPage) -> KnownVideo? {
    guard page.isOn("twitter.com", "www", "m", "mobile") || page.isOn("x.com", "www", "m", "mobile") else { return nil }
    func segment(_ ending: String) -> String? {
        page.segment(in: "*/status/\(ending)", "*/statuses/\(ending)", "i/web/status/\(ending)", "statuses/\(ending)")
    }
    // A post can hold several media, and a link can name one of them.
    guard let id = segment(":") ?? segment(":/video/*") ?? segment(":/photo/*"), id.isNumber else { return nil }
    var place = ""
    if let number = segment("*/video/:") ?? segment("*/photo/:") {
        guard number.isNumber, number.utf8.count == 1 else { return nil }
        place = "/video/\(number)"
    }
    return KnownVideo("https://twitter.com/i/status/\(id)\(place)", "Twitter", id)
}

@Sendable private func vimeo(_ page: NormalizedPage) -> KnownVideo? {
    // The player also plays videos that have no page on the site, so its links are not known.
    guard page.isOn("vimeo.com", "www"),
        let id = page.segment(in: ":", ":/*", "channels/*/:", "groups/*/videos/:"), id.isNumber
    else { return nil }
    let url = "https://vimeo.com/\(id)"
    // An unlisted video is shown only to those who know its second number.
    guard let secret = page.segment(in: "*/:") ?? page.parameter("h") else { return KnownVideo(url, "Vimeo", id) }
    guard secret.isLowercaseWord(10...10) else { return nil }
    return KnownVideo("\(url)/\(secret)", "Vimeo", id)
}

@Sendable private func instagram(_ page: NormalizedPage) -> KnownVideo? {
    guard page.isOn("instagram.com", "www", "m"),
        let code = page.segment(
            in: "p/:", "reel/:", "reels/:", "tv/:", "*/p/:", "*/reel/:", "*/reels/:", "*/tv/:"),
        // A link that was shared has a code of its own, and a sound is not a post.
        page.segments.first != "share", code != "audio", code.isIdentifier(5...64)
    else { return nil }
    return KnownVideo(
        "https://instagram.com/p/\(code)", fetch: "https://www.instagram.com/p/\(code)/", "Instagram", code)
}

@Sendable private func tikTok(_ page: NormalizedPage) -> KnownVideo? {
    guard page.isOn("tiktok.com", "www", "m") else { return nil }
    let file = page.segment(in: "v/:").flatMap { $0.hasSuffix(".html") ? String($0.dropLast(5)) : nil }
    let isOfUser = page.segments.first?.hasPrefix("@") ?? false
    let candidate =
        isOfUser
        ? page.segment(in: "*/video/:", "*/photo/:")
        : file ?? page.segment(in: "embed/:", "embed/v2/:", "player/v1/:", "video/:", "share/video/:")
    guard let id = candidate, id.isNumber else { return nil }
    return KnownVideo("https://tiktok.com/video/\(id)", fetch: "https://www.tiktok.com/@/video/\(id)", "TikTok", id)
}

@Sendable private func reddit(_ page: NormalizedPage) -> KnownVideo? {
    let candidate: String?
    if page.host == "redd.it" {
        candidate = page.segment(in: ":")
    } else if page.isOn("reddit.com", "www", "old", "new", "m", "np", "sh") {
        candidate =
            page.segment(in: "comments/:", "comments/:/*", "comments/:/*/*")
            ?? page.segment(in: "r/*/comments/:", "r/*/comments/:/*", "r/*/comments/:/*/*")
            ?? page.segment(in: "user/*/comments/:", "user/*/comments/:/*", "user/*/comments/:/*/*")
    } else {
        return nil
    }
    guard let id = candidate, id.isLowercaseWord(1...13) else { return nil }
    return KnownVideo(
        "https://reddit.com/comments/\(id)", fetch: "https://www.reddit.com/comments/\(id)", "Reddit", id)
}

@Sendable private func dailymotion(_ page: NormalizedPage) -> KnownVideo? {
    let candidate: String?
    if page.host == "dai.ly" {
        candidate = page.segment(in: ":")
    } else if page.isOn("dailymotion.com", "www", "touch") {
        candidate = page.segment(in: "video/:", "embed/video/:")
    } else if page.host == "geo.dailymotion.com", page.parameter("playlist") == nil,
        page.segments == ["player.html"] || page.segment(in: "player/:")?.hasSuffix(".html") == true
    {
        candidate = page.parameter("video")
    } else {
        return nil
    }
    // A title can follow: x7tgad0_some-title. A private video's id begins with k, and is reported as another.
    guard let id = candidate?.split(separator: "_", omittingEmptySubsequences: false).first.map(String.init),
        id.hasPrefix("x"), id.isLowercaseWord(2...20)
    else { return nil }
    return KnownVideo(
        "https://dailymotion.com/video/\(id)", fetch: "https://www.dailymotion.com/video/\(id)", "Dailymotion", id)
}

@Sendable private func twitch(_ page: NormalizedPage) -> KnownVideo? {
    if let clip = twitchClip(page) {
        guard clip.isIdentifier() else { return nil }
        return KnownVideo("https://clips.twitch.tv/\(clip)", "TwitchClips", clip)
    }
    let candidate: String?
    if page.host == "player.twitch.tv" {
        candidate = page.parameter("video").map { $0.hasPrefix("v") ? String($0.dropFirst()) : $0 }
    } else if page.isOn("twitch.tv", "www", "m", "go") {
        candidate = page.segment(in: "videos/:", "*/v/:", "*/video/:")
    } else {
        return nil
    }
    guard let id = candidate, id.isNumber else { return nil }
    return KnownVideo(
        "https://twitch.tv/videos/\(id)", fetch: "https://www.twitch.tv/videos/\(id)", "TwitchVod", "v\(id)")
}

private func twitchClip(_ page: NormalizedPage) -> String? {
    switch page.host {
    case "clips.twitch.tv": page.segments == ["embed"] ? page.parameter("clip") : page.segment(in: ":", "*/:")
    case "twitch.tv", "www.twitch.tv", "m.twitch.tv", "go.twitch.tv": page.segment(in: "clip/:", "*/clip/:")
    default: nil
    }
}

@Sendable private func facebook(_ page: NormalizedPage) -> KnownVideo? {
    guard page.isOn("facebook.com", "www", "m", "web") else { return nil }
    let candidate =
        page.segments == ["watch"] || page.segments == ["video.php"]
        ? page.parameter("v") : page.segment(in: "reel/:", "*/videos/:", "*/videos/*/:")
    guard let id = candidate, id.isNumber else { return nil }
    return KnownVideo(
        "https://facebook.com/watch?v=\(id)", fetch: "https://www.facebook.com/watch/?v=\(id)", "Facebook", id)
}

@Sendable private func soundCloud(_ page: NormalizedPage) -> KnownVideo? {
    guard page.isOn("soundcloud.com", "www", "m"), let title = page.segment(in: "*/:", "*/:/*"),
        page.segments.allSatisfy({ $0.isIdentifier() }),
        // A private track is shown only to those who know its token.
        page.segments.count == 2 || page.segments[2].hasPrefix("s-"),
        !soundCloudLists.contains(title), !soundCloudPages.contains(page.segments[0])
    else { return nil }
    return KnownVideo("https://soundcloud.com/\(page.segments.joined(separator: "/"))", "Soundcloud")
}

/// The pages of a user that are lists.
private let soundCloudLists: Set<String> = [
    "sets", "tracks", "albums", "reposts", "likes", "spotlight", "comments", "popular-tracks", "followers", "following",
]

/// The first segments that are not users.
private let soundCloudPages: Set<String> = [
    "you", "discover", "stations", "search", "charts", "tags", "pages", "settings", "upload", "people", "player",
]

@Sendable private func bilibili(_ page: NormalizedPage) -> KnownVideo? {
    guard page.isOn("bilibili.com", "www", "m"), let id = page.segment(in: "video/:"), id.hasPrefix("BV"),
        id.isIdentifier(12...12)
    else { return nil }
    let (url, fetch) = ("https://bilibili.com/video/\(id)", "https://www.bilibili.com/video/\(id)")
    guard let part = page.parameter("p") else { return KnownVideo(url, fetch: fetch, "BiliBili", id, "\(id)_p1") }
    guard part.isNumber, part.utf8.count <= 4, !part.hasPrefix("0") else { return nil }
    return KnownVideo("\(url)?p=\(part)", fetch: "\(fetch)?p=\(part)", "BiliBili", id, "\(id)_p\(part)")
}

@Sendable private func streamable(_ page: NormalizedPage) -> KnownVideo? {
    guard page.isOn("streamable.com", "www"), let id = page.segment(in: ":", "e/:", "o/:", "s/:", "s/:/*"),
        id.isLowercaseWord(3...12)
    else { return nil }
    return KnownVideo("https://streamable.com/\(id)", "Streamable", id)
}

@Sendable private func vk(_ page: NormalizedPage) -> KnownVideo? {
    guard
        page.isOn("vk.com", "www", "m", "new") || page.isOn("vk.ru", "www", "m") || page.isOn("vkvideo.ru", "www", "m"),
        // A list can hold the permission to see the video.
        page.parameter("list") == nil
    else { return nil }
    let overlay = page.parameter("z").map { String($0.prefix { $0 != "/" }) }
    // Both the page and what it shows above itself can be videos.
    let (first, second) = (overlay.flatMap(vkID), page.segment(in: ":").flatMap(vkID))
    guard let id = first ?? second, overlay == nil || (first != nil && second == nil) else { return nil }
    return KnownVideo("https://vk.com/video\(id)", "VK", id)
}

/// Returns the id in `video-1_2` or `clip-1_2`.
private func vkID(_ text: String) -> String? {
    guard let kind = ["video", "clip"].first(where: { text.hasPrefix($0) }) else { return nil }
    let id = String(text.dropFirst(kind.count))
    let numbers = (id.hasPrefix("-") ? id.dropFirst() : id[...])
        .split(separator: "_", omittingEmptySubsequences: false).map(String.init)
    return numbers.count == 2 && numbers.allSatisfy(\.isNumber) ? id : nil
}

@Sendable private func pinterest(_ page: NormalizedPage) -> KnownVideo? {
    let labels = page.host.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    // The site has a domain in many countries, with a subdomain at most: pinterest.de, br.pinterest.com.
    guard let name = labels.firstIndex(of: "pinterest"), name <= 1,
        name == 0 || labels[0] == "www" || labels[0].isLowercaseWord(2...2),
        pinterestDomains.contains(labels[(name + 1)...].joined(separator: ".")), let pin = page.segment(in: "pin/:")
    else { return nil }
    // A title can precede: a-title--664281013778109217.
    let id = String(pin.reversed().prefix { ("0"..."9").contains($0) }.reversed())
    guard id.isNumber, pin == id || pin.dropLast(id.count).hasSuffix("--") else { return nil }
    return KnownVideo(
        "https://pinterest.com/pin/\(id)", fetch: "https://www.pinterest.com/pin/\(id)/", "Pinterest", id)
}

private let pinterestDomains: Set<String> = [
    "com", "fr", "de", "ch", "jp", "cl", "ca", "it", "co.uk", "nz", "ru", "com.au", "at", "pt", "co.kr", "es", "com.mx",
    "dk", "ph", "th", "com.uy", "co", "nl", "info", "kr", "ie", "vn", "com.vn", "ec", "mx", "in", "pe", "co.at", "hu",
    "co.in", "co.nz", "id", "com.ec", "com.py", "tw", "be", "uk", "com.bo", "com.pe",
]
