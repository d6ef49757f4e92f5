import HTTP
import JSON

/// Knows the pages on which sites show a signed-in user what is their own: bookmarks, history, messages, what is recommended to them.
///
/// With the cookies of a site, whoever can fetch such a page reads what belongs to the owner of the account.
enum AccountPages {
    private static func patterns(_ texts: String...) -> [PagePattern] { texts.compactMap(PagePattern.init) }

    /// The pages of a site that no list below has.
    static let ofAnySite = patterns(
        "/bookmarks/*", "/watchlist/*", "/watchlater/*", "/watch-later/*", "/watch_later/*", "/favorites",
        "/favourites", "/likes", "/liked", "/saved", "/history", "/home", "/foryou", "/for-you", "/following",
        "/subscriptions", "/library", "/recommended", "/inbox/*", "/messages/*", "/messages.php", "/direct/*", "/dm/*",
        "/dms/*", "/notifications/*", "/me/*", "/my/*", "/account/*", "/settings/*", "/dashboard")

    /// The pages of well-known sites, by their host names, which include the names below them.
    static let ofSites: [String: [PagePattern]] = {
        let twitter = patterns(
            "/", "/home", "/i/bookmarks/*", "/i/chat/*", "/i/history/*", "/messages/*", "/notifications/*", "/*/likes",
            "/explore/*", "/settings/*", "/*/bookmarks/*")
        return [
            "youtube.com": patterns(
                "/", "/feed/*", "/library/*", "/history/*", "/account/*", "/paid_memberships", "/purchases/*",
                "?list=wl",
                "?list=ll", "?list=lm", "?list=rdmm*", "/my_*", "/profile/*"),
            "twitter.com": twitter, "x.com": twitter,
            "instagram.com": patterns(
                "/", "/direct/*", "/*/saved/*", "/saved/*", "/explore", "/accounts/*", "/your_activity/*", "/archive/*"),
            "facebook.com": patterns(
                "/", "/home.php", "/me/*", "/saved/*", "/messages/*", "/bookmarks/*", "/memories/*", "/notifications/*",
                "/watch/saved/*", "/watch/latest", "/stories", "/*/allactivity/*"),
            "reddit.com": patterns(
                "/", "/best/*", "/hot/*", "/new/*", "/top/*", "/rising/*", "/controversial/*", "/message/*", "/chat/*",
                "/user/me/*", "/u/me/*", "/user/*/saved/*", "/user/*/upvoted/*", "/user/*/downvoted/*",
                "/user/*/hidden/*",
                "/u/*/saved/*", "/u/*/upvoted/*", "/u/*/downvoted/*", "/u/*/hidden/*", "/r/friends/*", "/saved/*"),
            "tiktok.com": patterns(
                "/", "/foryou", "/following", "/friends", "/messages/*", "/inbox/*", "/*/liked", "/*/favorites",
                "/*/foryou", "/*/following"),
            "pixiv.net": patterns(
                "/", "/en", "/bookmark.php", "/bookmark_new_illust.php", "/bookmark_new_illust_r18.php",
                "/*/bookmark_new_*",
                "/messages.php", "/history.php", "/novel/bookmark*", "/discovery/*", "/*/discovery/*", "?rest=hide"),
            "vimeo.com": patterns("/", "/home", "/feed", "/library/*", "/likes", "/manage/*", "/watchlater/*"),
            "twitch.tv": patterns("/", "/directory/following/*", "/inventory", "/settings/*", "/wallet"),
            "soundcloud.com": patterns(
                "/", "/you/*", "/feed", "/stream", "/discover", "/messages/*", "/notifications", "/library/*"),
            "bilibili.com": patterns(
                "/", "/watchlater/*", "/list/watchlater/*", "/medialist/play/watchlater/*", "/account/*", "/history/*"),
            "dailymotion.com": patterns("/", "/feed/*", "/library/*"),
            "vk.com": patterns("/", "/feed/*", "/im/*", "/mail/*", "/bookmarks/*", "/fave/*", "/al_feed.php"),
            "nicovideo.jp": patterns("/", "/my/*", "/history/*"),
            "patreon.com": patterns("/", "/home", "/messages/*", "/library/*", "/notifications"),
            "tumblr.com": patterns("/dashboard/*", "/likes/*", "/inbox/*", "/messaging/*"),
            "deviantart.com": patterns("/watch/*", "/notifications/*"),
            "bsky.app": patterns("/", "/notifications/*", "/messages/*", "/feeds", "/saved"),
            "pinterest.com": patterns("/", "/homefeed/*", "/following", "/notifications"),
            "linkedin.com": patterns("/", "/feed", "/messaging/*", "/my-items/*", "/notifications/*"),
        ]
    }()

    /// Hosts with the pages of another site, which gallery-dl signs in to that site for.
    private static let mirrors = [
        "fxtwitter.com": "x.com", "vxtwitter.com": "x.com", "fixupx.com": "x.com", "fixvx.com": "x.com",
        "phixiv.net": "pixiv.net", "fxdeviantart.com": "deviantart.com", "fixdeviantart.com": "deviantart.com",
        "fxbsky.app": "bsky.app", "vxbsky.app": "bsky.app", "ddinstagram.com": "instagram.com",
        "vxreddit.com": "reddit.com",
        "rxddit.com": "reddit.com", "vxtiktok.com": "tiktok.com",
    ]

    /// Returns the patterns for a host; nil for a site that is not known.
    static func known(_ host: String) -> [PagePattern]? {
        var name = host[...]
        while true {
            if let patterns = ofSites[mirrors[String(name)] ?? String(name)] { return patterns }
            guard let dot = name.firstIndex(of: ".") else { return nil }
            name = name[name.index(after: dot)...]
        }
    }
}

extension MediaSettings {
    /// Returns whether a link leads to a page of the account itself with which yt-dlp or gallery-dl is signed in to the site.
    func isAccountPage(_ link: String) -> Bool {
        PagePattern.Page.all(of: link).contains { page in
            let (site, known) = (sites[page.host], AccountPages.known(page.host))
            let patterns = (site?.privatePages ?? []) + (known ?? AccountPages.ofAnySite)
            let found = patterns.filter { $0.matches(page) }
            guard !found.isEmpty, !found.contains(where: \.isException) else { return false }
            return isSignedIn(to: page.host, site, isKnown: known != nil)
        }
    }

    /// Refuses what yt-dlp describes if it is a page of the account itself.
    var accountPageCheck: @Sendable (JSONObject) throws(MediaError) -> Void {
        { answer throws(MediaError) in try refuseAccountPage(answer) }
    }

    /// - Throws: `accountPage` if what yt-dlp describes is a page of the account itself: a link to another page may have led there.
    private func refuseAccountPage(_ answer: JSONObject, depth: Int = 0) throws(MediaError) {
        for key in ["webpage_url", "original_url"] {
            if let page = answer[key]?.string, isAccountPage(page) { throw .accountPage }
        }
        guard depth < 3 else { return }
        for entry in answer["entries"]?.array ?? [] {
            // An entry that is only named was not read.
            if let object = entry.object, object["entries"] != nil || object["formats"] != nil {
                try refuseAccountPage(object, depth: depth + 1)
            }
        }
    }

    /// Returns whether yt-dlp or gallery-dl may be signed in to the site of a link.
    func isSignedIn(to link: String) -> Bool {
        guard let host = WebURL(link)?.host else { return false }
        return isSignedIn(to: host, sites[host], isKnown: AccountPages.known(host) != nil)
    }

    private func isSignedIn(to host: String, _ site: Site?, isKnown: Bool) -> Bool {
        var everywhere = Site()
        (everywhere.arguments, everywhere.galleryArguments) = (ytDlp.extraArguments, galleryDl.extraArguments)
        if site?.hasLoginArguments == true || everywhere.hasLoginArguments { return true }
        if let path = site?.cookiesFile { return (try? CookieFile(path))?.isEmpty == false }
        return [ytDlp.cookiesFile, galleryDl.cookiesFile].contains { path in
            guard let path, let file = try? CookieFile(path) else { return false }
            // An extractor may ask another host of its site, of which the file has cookies.
            return isKnown ? !file.isEmpty : file.hasCookie(for: host)
        }
    }
}

extension MediaFetcher {
    /// Returns whether a link leads to a page of the account itself with which yt-dlp or gallery-dl is signed in to the site: such a page
    /// is for those only who may use the account.
    ///
    /// - Parameter asList: whether the list that a link names beside a video is wanted.
    package func isAccountPage(_ identity: SourceIdentity, asList: Bool) -> Bool {
        settings.isAccountPage(identity.fetchURL) || (asList && settings.isAccountPage(identity.sourceURL))
    }
}
