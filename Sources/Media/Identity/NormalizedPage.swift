import HTTP
import JSON

/// Normalizes a URL by the rules that hold for every site.
struct NormalizedPage {
    /// The host without `www.`, `m.` and `mobile.`.
    let host: String
    let port: Int?
    /// The normalized path, with its leading slash.
    let path: String
    /// The parameters that identify the page, sorted by name.
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

    /// The path's parts between slashes, without empty ones.
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

    /// Returns percent-encoded text in one spelling: unreserved characters are decoded, characters in `keeping` stay
    /// as they are, and hex digits are upper case.
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

/// Returns whether a query parameter only serves to track who shared a link, and where.
func isTracking(_ name: String) -> Bool {
    let name = name.lowercased()
    return trackingParameters.contains(name) || trackingPrefixes.contains { name.hasPrefix($0) }
}

private let trackingPrefixes = [
    "utm_", "mtm_", "pk_", "piwik_", "matomo_", "hsa_", "_hs", "oly_", "vero_", "__cft__", "__tn__",
]

private let trackingParameters: Set<String> = [
    "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "msclkid", "yclid", "ysclid", "twclid", "ttclid",
    "li_fat_id",
    "igsh", "igshid", "si", "feature", "ref_src", "ref_url", "mc_cid", "mc_eid", "_ga", "_gl", "mkt_tok", "mkwid",
    "s_cid",
    "cmpid", "ncid", "wt_mc", "trk", "fb_action_ids", "fb_action_types", "fb_source", "fb_ref", "mibextid", "epik",
    "cvid",
    "__twitter_impression", "_branch_match_id", "_branch_referrer", "spm", "spm_id_from", "vd_source", "share_id",
    "share_source", "share_medium", "share_plat", "share_session_id", "share_tag", "is_from_webapp", "sender_device",
    "sender_web_id", "_r", "_t", "ab_channel", "rdt", "rcm", "xmt", "guccounter", "guce_referrer", "guce_referrer_sig",
]

/// The sites whose links can name the second to start at.
let videoSites: Set<String> = [
    "youtube.com", "youtu.be", "youtube-nocookie.com", "vimeo.com", "twitch.tv", "dailymotion.com", "dai.ly",
    "facebook.com",
    "bilibili.com", "tiktok.com", "twitter.com", "x.com", "soundcloud.com", "rumble.com", "odysee.com", "bitchute.com",
    "reddit.com", "instagram.com", "vk.com", "vkvideo.ru", "ok.ru", "streamable.com", "rutube.ru", "nicovideo.jp",
    "ted.com",
    "mixcloud.com", "kick.com", "loom.com",
]

/// The parameters that name the position to start at on those sites.
let positionParameters: Set<String> = ["t", "start", "time_continue", "start_time", "starttime", "timestamp", "time"]
