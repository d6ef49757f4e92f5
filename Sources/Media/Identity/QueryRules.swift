/// Whether a query parameter tells who shared a link and where, and nothing of what it leads to.
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

/// Sites whose links can say at which second to start.
let videoSites: Set<String> = [
    "youtube.com", "youtu.be", "youtube-nocookie.com", "vimeo.com", "twitch.tv", "dailymotion.com", "dai.ly",
    "facebook.com",
    "bilibili.com", "tiktok.com", "twitter.com", "x.com", "soundcloud.com", "rumble.com", "odysee.com", "bitchute.com",
    "reddit.com", "instagram.com", "vk.com", "vkvideo.ru", "ok.ru", "streamable.com", "rutube.ru", "nicovideo.jp",
    "ted.com",
    "mixcloud.com", "kick.com", "loom.com",
]

/// The position to start at, in the words of those sites.
let positionParameters: Set<String> = ["t", "start", "time_continue", "start_time", "starttime", "timestamp", "time"]
