import HTTP
import Testing

@testable import Media

@Suite struct YtDlpMessageTests {
    @Test(arguments: [
        (
            "ERROR: [youtube] abc: Private video. Sign in if you've been granted access to this video",
            MediaError.Code.isPrivate
        ),
        (
            "ERROR: [youtube] abc: Sign in to confirm your age. This video may be inappropriate for some users.",
            .ageRestricted
        ),
        ("ERROR: [youtube] abc: Sign in to confirm you’re not a bot. Use --cookies-from-browser", .loginRequired),
        ("ERROR: [youtube] abc: Video unavailable. This video has been removed by the uploader", .notFound),
        ("ERROR: [youtube] abc: Video unavailable", .notFound),
        ("ERROR: [youtube] abc: The uploader has not made this video available in your country", .geoBlocked),
        ("ERROR: [youtube] abc: Join this channel to get access to members-only content like this video", .paid),
        ("ERROR: [youtube] abc: Premieres in 5 hours", .live),
        ("ERROR: [vimeo] 1: This video is DRM protected", .drm),
        (
            "ERROR: [instagram] x: Requested content is not available, rate-limit reached or login required.",
            .rateLimited
        ),
        (
            "ERROR: [generic] Unable to download webpage: HTTP Error 429: Too Many Requests (caused by <HTTPError 429>)",
            .rateLimited
        ),
        (
            "ERROR: [generic] Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)",
            .notFound
        ),
        ("ERROR: [generic] Unable to download webpage: HTTP Error 403: Forbidden", .forbidden),
        ("ERROR: [generic] Unable to download webpage: HTTP Error 503: Service Unavailable", .serverError),
        ("ERROR: Unsupported URL: https://example.com/", .noMedia),
        ("ERROR: [twitter] 1: No video could be found in this tweet", .noMedia),
        ("ERROR: [BiliBili] 1: This video is for premium members only", .paid),
        ("ERROR: [generic] '--exec' is not a valid URL. Set --default-search", .invalidURL),
        ("ERROR: unable to write data: [Errno 28] No space left on device", .noSpace),
        ("ERROR: unable to write data: [Errno 27] File too large", .tooLarge),
        (
            "ERROR: You have requested merging of multiple formats but ffmpeg is not installed. Aborting",
            .missingProgram
        ),
        (
            "ERROR: [generic] Unable to download webpage: <urlopen error [Errno -2] Name or service not known>",
            .unreachable
        ),
        (
            "ERROR: [generic] Unable to download webpage: Tunnel connection failed: 403 Not On The Public Internet",
            .refusedAddress
        ),
        (
            "ERROR: [generic] Unable to download webpage: timed out (caused by TransportError('timed out'))",
            .unreachable
        ),
        ("ERROR: [Facebook] 1: This video is only available for registered users. Use --cookies", .loginRequired),
    ])
    func `A known error becomes a code and one line for people`(line: String, code: MediaError.Code) {
        let error = YtDlpMessage.error(["[generic] Extracting URL", line])
        #expect(error.code == code)
        #expect(!error.reason.isEmpty)
        #expect(!error.reason.contains { $0.isNewline })
        #expect(!error.reason.contains("ERROR"))
    }

    @Test func `An unknown error is reported without its noise`() {
        let line =
            "ERROR: [SomeSite] video-1: The flux has no capacitor; please report this issue on  https://x , filling out"
        let error = YtDlpMessage.error([line])
        #expect(error.code == .extractorFailed)
        #expect(error.reason == "The flux has no capacitor")
    }

    @Test func `An error is one bounded line without control characters`() {
        let error = YtDlpMessage.error([
            "ERROR: [x] 1: \u{1B}[31mred\u{7}\u{202E}evil\t" + String(repeating: "ä", count: 5000)
        ])
        #expect(error.reason.hasPrefix("[31mred evil ä"))
        #expect(error.reason.utf8.count <= 200)
        #expect(YtDlpMessage.error([]).reason == "yt-dlp failed without a message.")
    }

    @Test(arguments: [
        ("/premium/about.html", "Unsupported URL: LINK"), ("/hdrmovie/captcha", "Unsupported URL: LINK"),
        ("/a?ref=login%20required", "Unsupported URL: LINK"), ("/drm", "[generic] drm: Unsupported URL: LINK"),
        ("/premium%20video.html", "[generic] premium video: Unsupported URL: LINK"),
        ("/premium:%20x", "[generic] premium: x: No video formats found!"),
        ("/patron", "[generic] patron: Did not get any data blocks"),
        ("/a", "Unsupported URL: LINK (caused by https://other.example/premium)"),
    ])
    func `The words of a link are no reason`(path: String, line: String) {
        let link = "https://example.com" + path
        let error = YtDlpMessage.error(["ERROR: " + line.replacing("LINK", with: link)], link: link)
        #expect(error.code == .noMedia, "\(error.reason)")
    }

    @Test(
        arguments: [
            (["ERROR: [youtube] abc: Sign in"], "youtube"), (["ERROR: [generic] a: b", "more"], "generic"),
            (["ERROR: no brackets"], nil), (["[youtube] abc: Extracting"], nil), ([], nil),
            (["ERROR: [a] 1: x", "ERROR: [Instagram:story] 2: y"], "Instagram:story"),
        ] as [([String], String?)])
    func `The extractor of an error is known`(_ lines: [String], _ name: String?) {
        #expect(YtDlpMessage.extractor(lines) == name)
    }

    @Test(
        arguments: [
            ("youtube.com", "youtube", ["www.youtube.com", "i.ytimg.com"], true),
            ("youtube.com", "youtube:tab", ["www.youtube.com"], true),
            // A page of the site led elsewhere.
            ("youtube.com", "generic", ["www.youtube.com", "evil.example"], false),
            ("youtube.com", "evil", ["www.youtube.com", "evil.example"], false),
            ("youtube.com", "youtube", ["evil.example"], false), ("youtube.com", "generic", [], false),
            ("example.com", "generic", ["example.com", "www.example.com"], true),
            ("example.com", nil, ["example.com"], true), ("example.com", "generic", ["notexample.com"], false),
            ("example.com", "com", ["example.com", "b.example"], false),
            ("x.com", "twitter", ["x.com", "api.twitter.com"], true),
            ("vk.com", "vk", ["vk.com", "cdn.example"], true),
            ("youtube.com", "youtube", nil, true), ("youtube.com", "generic", nil, false),
            ("youtube.com", nil, nil, false),
        ] as [(String, String?, [String]?, Bool)])
    func `Only a site's own error tells about its cookies`(
        _ host: String, _ extractor: String?, _ visited: [String]?, _ isOwn: Bool
    ) {
        var site = Site()
        site.hosts = [host]
        #expect(site.isSource(of: extractor, visited.map { Set($0) }) == isOwn)
    }

    @Test func `Transient failures are recognised`() {
        #expect(YtDlpMessage.error(["ERROR: HTTP Error 503: x"]).isTransient)
        #expect(YtDlpMessage.error(["ERROR: Too Many Requests"]).isTransient)
        #expect(!YtDlpMessage.error(["ERROR: Private video"]).isTransient)
    }
}
