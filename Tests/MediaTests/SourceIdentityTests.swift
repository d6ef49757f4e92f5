import JSON
import Payloads
import Testing

@testable import Media

@Suite struct SourceIdentityTests {
    static let same: [(String, [String])] = [
        (
            "https://youtube.com/watch?v=dQw4w9WgXcQ",
            [
                "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "http://youtube.com/watch?v=dQw4w9WgXcQ&t=42s",
                "https://m.youtube.com/watch?v=dQw4w9WgXcQ&list=PL123&index=2", "https://youtu.be/dQw4w9WgXcQ?si=abc",
                "https://www.youtube.com/shorts/dQw4w9WgXcQ?feature=share",
                "https://youtube.com/embed/dQw4w9WgXcQ?start=3",
                "https://www.youtube.com/live/dQw4w9WgXcQ", "https://youtube.com/v/dQw4w9WgXcQ",
                "https://music.youtube.com/watch?v=dQw4w9WgXcQ", "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
                "https://WWW.YouTube.COM:443/watch?feature=youtu.be&v=dQw4w9WgXcQ#t=5", "https://youtu.be/dQw4w9WgXcQ/",
                "https://user:word@www.youtube.com/watch?app=desktop&v=dQw4w9WgXcQ",
            ]
        ),
        (
            "https://twitter.com/i/status/1460323737035677698",
            [
                "https://x.com/Twitter/status/1460323737035677698",
                "https://mobile.twitter.com/a/status/1460323737035677698?s=20&t=xyz",
                "https://x.com/i/web/status/1460323737035677698",
                "https://twitter.com/a/statuses/1460323737035677698",
            ]
        ),
        (
            "https://twitter.com/i/status/77/video/2",
            ["https://x.com/a/status/77/video/2", "https://mobile.twitter.com/i/web/status/77/photo/2?s=20"]
        ),
        ("https://twitter.com/i/status/77/video/1", ["https://x.com/a/status/77/video/1"]),
        (
            "https://vimeo.com/76979871",
            [
                "https://vimeo.com/76979871#t=30s", "http://www.vimeo.com/76979871?share=copy",
                "https://vimeo.com/channels/staffpicks/76979871", "https://vimeo.com/groups/x/videos/76979871",
            ]
        ),
        ("https://vimeo.com/76979871/8272103f6e", ["https://vimeo.com/76979871?h=8272103f6e"]),
        (
            "https://instagram.com/p/CuE2WpyNvGb",
            [
                "https://www.instagram.com/reel/CuE2WpyNvGb/?igsh=MzRl", "https://instagram.com/reels/CuE2WpyNvGb",
                "https://www.instagram.com/p/CuE2WpyNvGb/?img_index=1",
                "https://www.instagram.com/someone/reel/CuE2WpyNvGb/",
                "https://www.instagram.com/tv/CuE2WpyNvGb",
            ]
        ),
        (
            "https://tiktok.com/video/6718335390845095173",
            [
                "https://www.tiktok.com/@scout2015/video/6718335390845095173?is_from_webapp=1",
                "https://m.tiktok.com/v/6718335390845095173.html",
                "https://www.tiktok.com/embed/v2/6718335390845095173",
                "https://www.tiktok.com/embed/6718335390845095173", "https://tiktok.com/player/v1/6718335390845095173",
            ]
        ),
        (
            "https://reddit.com/comments/124pp33",
            [
                "https://www.reddit.com/r/videos/comments/124pp33/some_title/",
                "https://old.reddit.com/r/x/comments/124pp33",
                "https://redd.it/124pp33", "https://new.reddit.com/comments/124pp33/?utm_source=share",
            ]
        ),
        (
            "https://dailymotion.com/video/x7tgad0",
            [
                "https://dai.ly/x7tgad0", "https://www.dailymotion.com/video/x7tgad0_some-title?start=4",
                "https://www.dailymotion.com/embed/video/x7tgad0",
                "https://geo.dailymotion.com/player/x86.html?video=x7tgad0",
            ]
        ),
        (
            "https://clips.twitch.tv/FaintLight-Glass",
            [
                "https://www.twitch.tv/someone/clip/FaintLight-Glass?filter=clips",
                "https://clips.twitch.tv/embed?clip=FaintLight-Glass&parent=x",
                "https://m.twitch.tv/clip/FaintLight-Glass",
            ]
        ),
        (
            "https://twitch.tv/videos/6528877",
            [
                "https://www.twitch.tv/videos/6528877?t=5m10s", "https://player.twitch.tv/?t=5m10s&video=v6528877",
                "https://www.twitch.tv/someone/v/6528877",
            ]
        ),
        (
            "https://facebook.com/watch?v=637842556329505",
            [
                "https://www.facebook.com/watch/?v=637842556329505",
                "https://m.facebook.com/video.php?v=637842556329505",
                "https://www.facebook.com/someone/videos/637842556329505/",
                "https://www.facebook.com/reel/637842556329505",
                "https://web.facebook.com/someone/videos/a-title/637842556329505?__cft__[0]=x",
            ]
        ),
        (
            "https://soundcloud.com/ethmusik/lostin-powers",
            [
                "https://m.soundcloud.com/ethmusik/lostin-powers?si=1&utm_source=clipboard",
                "http://www.soundcloud.com/ethmusik/lostin-powers/",
                "https://soundcloud.com/ethmusik/lostin-powers?in=someone/sets/x#t=0:30",
            ]
        ),
        (
            "https://bilibili.com/video/BV13x41117TL",
            [
                "https://www.bilibili.com/video/BV13x41117TL/?spm_id_from=333.1&vd_source=x",
                "https://m.bilibili.com/video/BV13x41117TL",
            ]
        ),
        (
            "https://bilibili.com/video/BV13x41117TL?p=2",
            ["https://www.bilibili.com/video/BV13x41117TL/?p=2&vd_source=x"]
        ),
        (
            "https://vk.com/video-77521_162222515",
            ["https://vk.com/video?z=video-77521_162222515", "https://vkvideo.ru/video-77521_162222515"]
        ),
        ("https://pinterest.com/pin/664281013778109217", ["https://www.pinterest.de/pin/a-title--664281013778109217/"]),
        ("https://streamable.com/dnd1", ["https://streamable.com/e/dnd1?loop=0", "https://www.streamable.com/dnd1"]),
    ]

    @Test(arguments: same)
    func `All links to one video of a known site share an identity`(normalized: String, links: [String]) throws {
        for link in links + [normalized] {
            let identity = try #require(SourceIdentity(link), "\(link)")
            #expect(identity.normalizedURL == normalized, "\(link)")
            #expect(identity.isVideoPage, "\(link)")
        }
    }

    @Test(arguments: [
        ("HTTP://WWW.Example.COM:80/a/b.mp4", "http://www.example.com/a/b.mp4"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com/v?utm_source=x&id=7&fbclid=y&gclid=z", "https://example.com/v?id=7"),
        ("https://example.com/v?%75tm_source=x&id=7", "https://example.com/v?id=7"),
        ("https://example.com/v?b=2&a=1&c", "https://example.com/v?b=2&a=1&c"),
        ("https://example.com/v?a=2&a=1", "https://example.com/v?a=2&a=1"),
        ("https://example.com/v?t=30", "https://example.com/v?t=30"),
        ("https://example.com/v?", "https://example.com/v"),
        ("https://example.com/v?utm_medium=x#frag", "https://example.com/v#frag"),
        ("https://example.com/v.mp4?utm_medium=x#t=1:30.5,90s", "https://example.com/v.mp4"),
        ("https://example.com/v#t=abc", "https://example.com/v#t=abc"),
        ("https://example.com/#/song?id=1", "https://example.com/#/song?id=1"),
        ("https://example.com/#!/ts/A/1", "https://example.com/#!/ts/A/1"),
        ("https://example.com/v#__youtubedl_smuggle=%7B%7D", "https://example.com/v"),
        ("https://example.com/v#_%5Fyoutubedl%5fsmuggle=1", "https://example.com/v"),
        ("https://u:p@example.com/v", "https://example.com/v"),
        ("https://m.example.com/v", "https://m.example.com/v"),
        ("https://mobile.example.com./v", "https://mobile.example.com./v"),
        ("https://example.com:8443/v", "https://example.com:8443/v"),
        ("https://example.com/%7Ejoe/%c3%a4%2f", "https://example.com/~joe/%C3%A4%2F"),
        ("https://example.com/~joe/ä%2F", "https://example.com/~joe/%C3%A4%2F"),
        ("https://example.com/a?q=a+b", "https://example.com/a?q=a+b"),
        ("https://example.com/a?q=a%2Bb%26c", "https://example.com/a?q=a%2Bb%26c"),
        ("https://example.com/a/./b/../c", "https://example.com/a/c"),
        ("http://[2001:DB8::1]:80/x", "http://[2001:db8::1]/x"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://www.youtube.com/playlist?list=PLx&si=y", "https://www.youtube.com/playlist?list=PLx&si=y"),
        ("https://www.youtube.com/watch?v=short", "https://www.youtube.com/watch?v=short"),
        ("https://notyoutube.com/watch?v=dQw4w9WgXcQ", "https://notyoutube.com/watch?v=dQw4w9WgXcQ"),
        ("https://x.com/someone", "https://x.com/someone"),
        ("https://example.com/a%zz", "https://example.com/a%zz"),
    ])
    func `A link of another site keeps all that the site could read, and is fetched as it is named`(
        link: String, normalized: String
    ) throws {
        let identity = try #require(SourceIdentity(link))
        #expect(identity.normalizedURL == normalized)
        #expect(identity.fetchURL == normalized)
        #expect(!identity.isVideoPage)
        #expect(SourceIdentity(normalized)?.normalizedURL == normalized)
    }

    /// Each link contains the form of a known video, but names another one, several, or something else.
    @Test(arguments: [
        "https://www.youtube.com/watch?%76=AAAAAAAAAAA&v=BBBBBBBBBBB",
        "https://www.youtube.com/watch?v=AAAAAAAAAAA&v=BBBBBBBBBBB",
        "https://www.youtube.com/embed/live_stream?channel=UCx", "https://www.youtube.com/embed/videoseries?list=PLx",
        "https://www.youtube.com/x/embed/AAAAAAAAAAA", "https://www.youtube.com:8443/watch?v=AAAAAAAAAAA",
        "https://www.youtube.com/watch?v=AAAAAAAAAAAB", "https://evil.youtube.com.example/watch?v=AAAAAAAAAAA",
        "https://pinterest.attacker.example/pin/424242", "https://pinterest.example/pin/424242",
        "https://a.b.pinterest.com/pin/424242", "https://www.pinterest.com/pin/x424242",
        "https://www.twitch.tv/videos/1111111111x2222222222", "https://www.twitch.tv/x/y/videos/1111111111",
        "https://www.facebook.com/x/videos/1/x/2", "https://www.facebook.com/watch/live/?v=1",
        "https://www.instagram.com/stories/someone/3570766765028588805/",
        "https://www.instagram.com/stories/highlights/18090946048123978/",
        "https://www.instagram.com/share/reel/CuE2WpyNvGb", "https://www.instagram.com/reels/audio/123456",
        "https://x.com/a/status/77/video/22", "https://x.com/a/status/77x", "https://x.com/a/b/status/77",
        "https://vk.com/video1_2?z=video3_4", "https://vk.com/video1_2?list=abc", "https://vk.com/video1_2_3",
        "https://vimeo.com/1/2", "https://vimeo.com/1?h=x", "https://player.vimeo.com/video/1",
        "https://soundcloud.com/a/sets", "https://soundcloud.com/a/sets/b", "https://soundcloud.com/discover/b",
        "https://www.dailymotion.com/video/k46oCapRs4iikoz9DWy", "https://www.dailymotion.com/video/x1%00",
        "https://www.reddit.com/r/a/b/comments/124pp33", "https://www.tiktok.com/@a/live/video/1",
        "https://www.bilibili.com/video/BV13x41117TLx", "https://streamable.com/a%2Fb",
    ])
    func `A link that is not certain to name one video of a known site is not known`(link: String) throws {
        let identity = try #require(SourceIdentity(link))
        #expect(!identity.isVideoPage, "\(identity.normalizedURL)")
        #expect(identity.normalizedURL.contains(link.dropFirst("https://".count).prefix { $0 != "/" && $0 != ":" }))
    }

    @Test func `Another video than the one that a link names is refused`() throws {
        func isMet(_ link: String, _ extractor: JSON?, _ id: JSON, _ display: JSON? = nil) throws -> Bool {
            let info = try VideoInfo(["extractor_key": extractor, "id": id, "display_id": display])
            return try #require(SourceIdentity(link)).isMet(by: info)
        }
        let link = "https://youtu.be/dQw4w9WgXcQ"
        #expect(try isMet(link, "Youtube", "dQw4w9WgXcQ"))
        #expect(try !isMet(link, "Youtube", "AAAAAAAAAAA"))
        #expect(try !isMet(link, "Generic", "dQw4w9WgXcQ"))
        #expect(try !isMet(link, nil, "dQw4w9WgXcQ"))
        #expect(try isMet("https://x.com/a/status/77", "Twitter", "12", "77"))
        #expect(try !isMet("https://x.com/a/status/77", "Twitter", "12", "78"))
        #expect(try isMet("https://soundcloud.com/a/b", "Soundcloud", "1"))
        #expect(try isMet("https://example.com/", "Youtube", "dQw4w9WgXcQ"))
        let part: JSON = ["extractor_key": "Instagram", "id": "BQ0dSaohpPW"]
        let post = try VideoInfo([
            "_type": "playlist", "extractor_key": "Instagram", "id": "CuE2WpyNvGb", "entries": [part],
        ])
        #expect(try #require(SourceIdentity("https://www.instagram.com/p/CuE2WpyNvGb")).isMet(by: post))
        let feed = try VideoInfo([
            "_type": "playlist", "extractor_key": "Generic", "id": "CuE2WpyNvGb", "entries": [part],
        ])
        #expect(try !#require(SourceIdentity("https://www.instagram.com/p/CuE2WpyNvGb")).isMet(by: feed))
    }

    @Test(arguments: same.map(\.0))
    func `The normalised URL has the same identity`(normalized: String) {
        #expect(SourceIdentity(normalized)?.normalizedURL == normalized)
    }

    @Test func `Different media have different identities`() {
        let links = [
            "https://example.com/a", "https://example.com/A", "https://example.com/a?x=1", "https://example.com/a?x=2",
            "https://example.com:81/a", "https://example.org/a", "https://youtu.be/dQw4w9WgXcQ",
            "https://youtu.be/dQw4w9WgXcq",
            "http://example.com/a", "https://www.example.com/a", "https://m.example.com/a", "https://example.com/a#1",
            "https://example.com/a?si=1", "https://example.com/a?feature=1", "https://example.com/a?share_id=1",
            "https://example.com/a?spm=1", "https://example.com/a?trk=1", "https://example.com/a?ref_src=1",
            "https://x.com/a/status/1/video/1", "https://vimeo.com/1/aaaaaaaaaa",
            "https://vimeo.com/1", "https://vimeo.com/2", "https://x.com/a/status/1", "https://x.com/a/status/2",
        ]
        #expect(Set(links.compactMap { SourceIdentity($0)?.normalizedURL }).count == links.count)
    }

    @Test func `An identity holds the link to fetch without secrets, and the domain`() throws {
        let identity = try #require(SourceIdentity("https://joe:secret@www.youtube.com/watch?v=dQw4w9WgXcQ&t=4#x"))
        #expect(identity.sourceURL == "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=4#x")
        #expect(identity.fetchURL == "https://www.youtube.com/watch?v=dQw4w9WgXcQ")
        #expect(identity.domain == "youtube.com")
        #expect(SourceIdentity("http://m.example.com:8080/x")?.domain == "example.com")
    }

    @Test(arguments: [
        "", "hello", "file:///etc/passwd", "ftp://h/x", "-o/tmp/x", "--exec=reboot", "ytsearch:cats", "http://",
        "http://a b/",
    ])
    func `A link that is not HTTP has no identity`(text: String) {
        #expect(SourceIdentity(text) == nil)
    }

    @Test func `A Telegram file is identified by its file_unique_id`() {
        let identity = SourceIdentity.telegramFile(uniqueID: "AgADBQADmYg-/x")
        #expect(identity.normalizedURL == "telegram:file/AgADBQADmYg-%2Fx")
        #expect(identity.domain == "telegram")
    }

    @Test func `The address is the kind with a hash of kind and URL`() throws {
        let identity = try #require(SourceIdentity("https://youtu.be/dQw4w9WgXcQ"))
        // printf 'video\nhttps://youtube.com/watch?v=dQw4w9WgXcQ' | sha256sum
        let video = ContentAddress(.video, identity)
        #expect(video.key == "video/d0670941acb7375e0002f448b6794fc998266d934be143debd03f83928a34479.mp4")
        #expect(
            ContentAddress(.audio, identity).key
                == "audio/be130ba0ffb1247fb32b67240f028d615c4cc893c41fcbe027096454c9ac9362.mp3")
    }
}
