/// Returns the canonical URL of a video; nil when a link is not of that site, or not to one video.
typealias SiteRule = @Sendable (NormalizedPage) -> String?

let knownSites: [SiteRule] = [
    youTube, twitter, vimeo, instagram, tikTok, reddit, dailymotion, twitch, facebook, soundCloud, bilibili, streamable,
    vk,
    pinterest, threads,
]

extension NormalizedPage {
    func isOn(_ domains: String...) -> Bool {
        domains.contains { host == $0 || host.hasSuffix("." + $0) }
    }

    /// Returns the path segment after one of the words: `CODE` in `/someone/reel/CODE/`.
    func segment(after words: String...) -> String? {
        let segments = segments
        guard let index = segments.firstIndex(where: { words.contains($0) }), index + 1 < segments.count else {
            return nil
        }
        return segments[index + 1]
    }
}

extension String {
    fileprivate var isNumber: Bool { !isEmpty && utf8.allSatisfy { (0x30...0x39).contains($0) } }

    /// Is true if the text is an identifier as links have them: letters, digits, `-` and `_`.
    fileprivate var isIdentifier: Bool {
        !isEmpty && unicodeScalars.allSatisfy { $0.isASCII && ($0.properties.isAlphabetic || isPlain($0)) }
    }

    private func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        ("0"..."9").contains(scalar) || scalar == "-" || scalar == "_"
    }

    /// The digits at the text's end; nil when there are none.
    fileprivate var trailingNumber: String? {
        let digits = String(reversed().prefix { ("0"..."9").contains($0) }.reversed())
        return digits.isEmpty ? nil : digits
    }
}

@Sendable private func youTube(_ page: NormalizedPage) -> String? {
    let candidate: String?
    if page.isOn("youtu.be") {
        candidate = page.segments.first
    } else if page.isOn("youtube.com", "youtube-nocookie.com", "youtube.googleapis.com") {
        candidate =
            page.segments.first == "watch" && page.segments.count == 1
            ? page.parameter("v") : page.segment(after: "shorts", "embed", "live", "v", "e", "watch")
    } else {
        return nil
    }
    guard let id = candidate, id.utf8.count == 11, id.isIdentifier else { return nil }
    return "https://youtube.com/watch?v=\(id)"
}

@Sendable private func twitter(_ page: NormalizedPage) -> String? {
    guard page.isOn("twitter.com", "x.com"), let id = page.segment(after: "status", "statuses"), id.isNumber else {
        return nil
    }
    // A post can hold several videos. The post's own link means the first.
    let number = page.segment(after: "video").flatMap { Int($0) } ?? 1
    return "https://twitter.com/i/status/\(id)" + (number > 1 ? "/video/\(number)" : "")
}

@Sendable private func vimeo(_ page: NormalizedPage) -> String? {
    guard page.isOn("vimeo.com") else { return nil }
    let segments = page.segments
    let first = segments.first.flatMap { $0.isNumber ? $0 : nil }
    let last = segments.count > 1 ? segments.last : nil
    guard let id = first ?? page.segment(after: "video", "videos") ?? (segments.first == "channels" ? last : nil),
        id.isNumber
    else { return nil }
    return "https://vimeo.com/\(id)"
}

@Sendable private func instagram(_ page: NormalizedPage) -> String? {
    guard page.isOn("instagram.com"), let code = page.segment(after: "p", "reel", "reels", "tv"), code.isIdentifier,
        code != "audio"
    else { return nil }
    return "https://instagram.com/p/\(code)"
}

@Sendable private func tikTok(_ page: NormalizedPage) -> String? {
    guard page.isOn("tiktok.com") else { return nil }
    let id =
        page.segment(after: "video", "photo") ?? page.segment(after: "v1", "v2") ?? page.segment(after: "v", "embed")
    guard let id = id.map({ $0.hasSuffix(".html") ? String($0.dropLast(5)) : $0 }), id.isNumber else { return nil }
    return "https://tiktok.com/video/\(id)"
}

@Sendable private func reddit(_ page: NormalizedPage) -> String? {
    if page.host == "redd.it", let id = page.segments.first, id.isIdentifier {
        return "https://reddit.com/comments/\(id)"
    }
    guard page.isOn("reddit.com"), let id = page.segment(after: "comments"), id.isIdentifier else { return nil }
    return "https://reddit.com/comments/\(id)"
}

@Sendable private func dailymotion(_ page: NormalizedPage) -> String? {
    let candidate: String?
    if page.isOn("dai.ly") {
        candidate = page.segments.first
    } else if page.isOn("dailymotion.com") {
        candidate = page.segment(after: "video") ?? page.parameter("video")
    } else {
        return nil
    }
    // A title can follow: x7tgad0_some-title.
    guard let id = candidate?.split(separator: "_").first.map(String.init), id.isIdentifier else { return nil }
    return "https://dailymotion.com/video/\(id)"
}

@Sendable private func twitch(_ page: NormalizedPage) -> String? {
    guard page.isOn("twitch.tv") else { return nil }
    let clip =
        page.host == "clips.twitch.tv" ? page.parameter("clip") ?? page.segments.first : page.segment(after: "clip")
    if let clip, clip.isIdentifier { return "https://clips.twitch.tv/\(clip)" }
    guard let video = page.segment(after: "videos", "v", "video") ?? page.parameter("video"),
        let id = video.trailingNumber
    else { return nil }
    return "https://twitch.tv/videos/\(id)"
}

@Sendable private func facebook(_ page: NormalizedPage) -> String? {
    guard page.isOn("facebook.com") else { return nil }
    let segments = page.segments
    let candidate: String?
    switch segments.first {
    case "watch", "video.php": candidate = page.parameter("v")
    case "reel": candidate = segments.dropFirst().first
    default: candidate = segments.contains("videos") ? segments.last : nil
    }
    guard let id = candidate, id.isNumber else { return nil }
    return "https://facebook.com/watch?v=\(id)"
}

@Sendable private func soundCloud(_ page: NormalizedPage) -> String? {
    let segments = page.segments
    guard page.host == "soundcloud.com", segments.count >= 2, segments.count <= 3, segments[1] != "sets" else {
        return nil
    }
    return "https://soundcloud.com/\(segments.joined(separator: "/"))"
}

@Sendable private func bilibili(_ page: NormalizedPage) -> String? {
    guard page.isOn("bilibili.com"), let id = page.segment(after: "video"), id.isIdentifier else { return nil }
    let part = page.parameter("p").flatMap { Int($0) } ?? 1
    return "https://bilibili.com/video/\(id)" + (part > 1 ? "?p=\(part)" : "")
}

@Sendable private func streamable(_ page: NormalizedPage) -> String? {
    guard page.host == "streamable.com", let id = page.segment(after: "e", "o", "s") ?? page.segments.first,
        id.isIdentifier
    else { return nil }
    return "https://streamable.com/\(id)"
}

@Sendable private func vk(_ page: NormalizedPage) -> String? {
    guard page.isOn("vk.com", "vk.ru", "vkvideo.ru") else { return nil }
    let place = (page.parameter("z") ?? page.segments.last ?? "").prefix { $0 != "/" && $0 != "%" }
    guard let kind = ["video", "clip"].first(where: { place.hasPrefix($0) }) else { return nil }
    let parts = place.dropFirst(kind.count).split(separator: "_").map { String($0.drop { $0 == "-" }) }
    guard parts.count == 2, parts.allSatisfy(\.isNumber) else { return nil }
    return "https://vk.com/video\(place.dropFirst(kind.count))"
}

@Sendable private func pinterest(_ page: NormalizedPage) -> String? {
    guard page.host.split(separator: ".").contains("pinterest"), let pin = page.segment(after: "pin"),
        let id = pin.trailingNumber
    else { return nil }
    return "https://pinterest.com/pin/\(id)"
}

@Sendable private func threads(_ page: NormalizedPage) -> String? {
    guard page.isOn("threads.net", "threads.com"), let code = page.segment(after: "post", "t"), code.isIdentifier else {
        return nil
    }
    return "https://threads.com/t/\(code)"
}
