import JSON
import System

/// Turns yt-dlp's error output into one line for the person who asked.
enum YtDlpMessage {
    /// Explains the last error.
    ///
    /// - Parameter link: the link that yt-dlp was given. Its own words, which yt-dlp repeats, say nothing about the error.
    static func error(_ lines: [String], link: String = "", maxBytes: Int64 = .max) -> MediaError {
        let errors = lines.filter { $0.hasPrefix("ERROR:") }
        let line = errors.last ?? lines.last ?? ""
        let lowercase = withoutLinks(withoutID(line, of: link)).lowercased()
        for (words, code, reason) in known where words.contains(where: { lowercase.contains($0) }) {
            var error = code == .tooLarge ? .tooLarge(bytes: nil, maxBytes: maxBytes) : MediaError(code, reason)
            if code == .unreachable, withoutNetwork.contains(where: { lowercase.contains($0) }) {
                error.suspectedOutage = SuspectedOutage(.network)
            }
            return error
        }
        guard let text = OneLine(KnownSecrets.removed(from: withoutNoise(line)), maxBytes: 200)?.text else {
            return MediaError(.extractorFailed, "yt-dlp failed without a message.")
        }
        return MediaError(.extractorFailed, text)
    }

    /// Returns the name of the extractor that the last error comes from, such as `youtube`; nil if it is not known.
    static func extractor(_ lines: [String]) -> String? {
        guard let line = lines.last(where: { $0.hasPrefix("ERROR:") }) else { return nil }
        let text = line.dropFirst("ERROR:".count).drop { $0 == " " }
        guard text.hasPrefix("["), let bracket = text.firstIndex(of: "]") else { return nil }
        return String(text[..<bracket].dropFirst())
    }

    /// Removes the name of the extractor and the id of the video, which yt-dlp takes from the link.
    private static func withoutID(_ line: String, of link: String) -> Substring {
        var text = line[...]
        if text.hasPrefix("ERROR:") { text = text.dropFirst("ERROR:".count).drop { $0 == " " } }
        guard text.hasPrefix("["), let bracket = text.firstIndex(of: "]") else { return text }
        text = text[text.index(after: bracket)...].drop { $0 == " " }
        let name = percentDecoded(link.prefix { $0 != "?" && $0 != "#" }.split(separator: "/").last ?? "") ?? ""
        let ending = name.lastIndex(of: ".").map { name[..<$0] } ?? ""
        for id in [name[...], ending] where !id.isEmpty && text.hasPrefix("\(id): ") {
            return text.dropFirst(id.count + 2)
        }
        guard let colon = text.firstIndex(of: ":"), !text[..<colon].contains(" ") else { return text }
        return text[text.index(after: colon)...]
    }

    /// Removes the URLs in a text.
    private static func withoutLinks(_ text: Substring) -> String {
        var result = ""
        var rest = text
        while let start = rest.firstRange(of: "://") {
            let scheme = rest[..<start.lowerBound].reversed().prefix { $0.isLetter }.count
            result += rest[..<start.lowerBound].dropLast(scheme)
            rest = rest[start.upperBound...].drop { !$0.isWhitespace && !"\"<>".contains($0) }
        }
        return result + rest
    }

    /// The words of errors that other sites may have too. The guard answers with the second.
    private static let withoutNetwork = [
        "temporary failure in name resolution", "network is unreachable", "no route to host",
    ]

    /// Removes the parts of an error line that are meant for developers.
    ///
    /// `ERROR: [youtube] dQw4w9WgXcQ: What happened; please report this issue on …` becomes `What happened`.
    static func withoutNoise(_ line: String) -> String {
        var text = line[...]
        if text.hasPrefix("ERROR:") { text = text.dropFirst("ERROR:".count).drop { $0 == " " } }
        if text.hasPrefix("["), let bracket = text.firstIndex(of: "]") {
            text = text[text.index(after: bracket)...].drop { $0 == " " }
            if let colon = text.firstIndex(of: ":"), !text[..<colon].contains(" ") {
                text = text[text.index(after: colon)...].drop { $0 == " " }
            }
        }
        for noise in [
            "; please report this issue on", " (caused by ", ". Use --", " See  http", " See http", "; use --",
        ] {
            if let found = text.firstRange(of: noise) { text = text[..<found.lowerBound] }
        }
        return String(text)
    }

    /// The known errors; the first match counts, so specific ones come first.
    private static let known: [([String], MediaError.Code, String)] = [
        (["not on the public internet"], .refusedAddress, "That link leads to an address that is not public."),
        (["no space left", "errno 28", "disk quota"], .noSpace, "There is no space left on my disk."),
        (["errno 27", "file too large", "larger than max-filesize"], .tooLarge, ""),
        (["ffmpeg is not installed", "ffmpeg not found"], .missingProgram, "ffmpeg is not installed here."),
        (
            [
                "confirm your age", "age-restricted", "age restricted", "inappropriate for some users",
                "age verification", "age-gate",
            ],
            .ageRestricted, "That is age-restricted: the site shows it only to adults who are signed in."
        ),
        (
            ["not a bot", "captcha"], .loginRequired,
            "The site wants proof that I am not a bot; cookies of a signed-in account are needed."
        ),
        (
            ["members-only", "members only", "join this channel", "channel's members", "subscriber", "patron"],
            .paid, "That is for paying members only."
        ),
        (
            ["requires payment", "premium", "purchase", "rental", "paywall", "must pay"], .paid,
            "That has to be paid for."
        ),
        (
            ["private video", "video is private", "this video is protected", "private account", "is private"],
            .isPrivate, "That video is private."
        ),
        (["drm"], .drm, "That is protected against copying (DRM)."),
        (
            [
                "in your country", "geo restrict", "geo-restrict", "georestrict", "from your location",
                "in your region",
                "in your location", "your geographic", "not available from your", "geo block", "geo-block",
            ], .geoBlocked, "The site does not show that in my country."
        ),
        (
            ["too many requests", "http error 429", "rate-limit", "rate limit", "ratelimit", "try again later"],
            .rateLimited, "The site has had too many requests; try again later."
        ),
        (
            [
                "login required", "log in", "logged in", "logged-in", "requires authentication", "--cookies",
                "account credentials",
                "registered users", "sign in", "login page", "http error 401", "--username",
            ], .loginRequired, "The site shows that only to users who are signed in."
        ),
        (["http error 5"], .serverError, "The site has a problem; try again later."),
        (["copyright"], .notFound, "That was removed for copyright reasons."),
        (
            [
                "has been removed", "been deleted", "no longer available", "been terminated", "does not exist",
                "http error 404",
                "http error 410", "video unavailable", "isn't available", "is not available", "not found",
                "unavailable",
            ], .notFound, "That no longer exists, or never did."
        ),
        (
            ["premieres in", "will begin", "live event", "live stream", "livestream", "is offline", "upcoming"],
            .live, "That is live or has not begun; try again when it is over."
        ),
        (
            [
                "no video formats found", "no video could be found", "no media found", "no formats", "there's no video",
                "there is no video",
                "requested format", "unsupported url", "no video in", "no suitable extractor",
            ], .noMedia, "There is no video that I can find at that link."
        ),
        (["did not get any data blocks", "the downloaded file is empty"], .noMedia, "The file at that link is empty."),
        (["is not a valid url"], .invalidURL, "That is not a web link."),
        (["http error 403", "forbidden"], .forbidden, "The site refuses access to that (403)."),
        (
            [
                "resolve", "name or service not known", "getaddrinfo", "connection refused", "network is unreachable",
                "no route to host", "connection reset", "remote end closed", "timed out", "unable to connect",
                "bad gateway",
                "unreachable",
            ], .unreachable, "The site cannot be reached; try again later."
        ),
        (["certificate", "ssl:"], .unreachable, "No secure connection to the site is possible."),
    ]
}
