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
                "https://twitter.com/a/status/1460323737035677698/video/1",
                "https://mobile.twitter.com/a/status/1460323737035677698?s=20&t=xyz",
                "https://x.com/i/web/status/1460323737035677698",
                "https://x.com/a/status/1460323737035677698/photo/1",
                "https://twitter.com/a/statuses/1460323737035677698",
            ]
        ),
        ("https://twitter.com/i/status/77/video/2", ["https://x.com/a/status/77/video/2"]),
        (
            "https://vimeo.com/76979871",
            [
                "https://player.vimeo.com/video/76979871?h=8272103f6e", "https://vimeo.com/76979871#t=30s",
                "https://vimeo.com/channels/staffpicks/76979871", "https://vimeo.com/groups/x/videos/76979871",
                "https://vimeo.com/76979871/8272103f6e",
            ]
        ),
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
                "https://www.bilibili.com/video/BV13x41117TL/?spm_id_from=333.1&vd_source=x&p=1",
                "https://m.bilibili.com/video/BV13x41117TL",
            ]
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
        ("HTTP://WWW.Example.COM:80/a/b.mp4", "https://example.com/a/b.mp4"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com/v?utm_source=x&id=7&fbclid=y&gclid=z", "https://example.com/v?id=7"),
        ("https://example.com/v?b=2&a=1&c", "https://example.com/v?a=1&b=2&c"),
        ("https://example.com/v?a=2&a=1", "https://example.com/v?a=2&a=1"),
        ("https://example.com/v?t=30", "https://example.com/v?t=30"),
        ("https://example.com/v?", "https://example.com/v"),
        ("https://example.com/v?utm_medium=x#frag", "https://example.com/v"),
        ("https://u:p@example.com/v", "https://example.com/v"),
        ("https://m.example.com/v", "https://example.com/v"),
        ("https://mobile.example.com./v", "https://example.com/v"),
        ("https://m.com/v", "https://m.com/v"),
        ("https://www.com/v", "https://www.com/v"),
        ("https://example.com:8443/v", "https://example.com:8443/v"),
        ("https://example.com/%7Ejoe/%c3%a4%2f", "https://example.com/~joe/%C3%A4%2F"),
        ("https://example.com/~joe/ä%2F", "https://example.com/~joe/%C3%A4%2F"),
        ("https://example.com/a?q=a+b", "https://example.com/a?q=a%20b"),
        ("https://example.com/a?q=a%2Bb", "https://example.com/a?q=a%2Bb"),
        ("https://example.com/a/./b/../c", "https://example.com/a/c"),
        ("http://[2001:DB8::1]:80/x", "https://[2001:db8::1]/x"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://www.youtube.com/playlist?list=PLx&si=y", "https://youtube.com/playlist?list=PLx"),
        ("https://www.youtube.com/watch?v=short", "https://youtube.com/watch?v=short"),
        ("https://notyoutube.com/watch?v=dQw4w9WgXcQ", "https://notyoutube.com/watch?v=dQw4w9WgXcQ"),
        ("https://x.com/someone", "https://x.com/someone"),
        ("https://example.com/a%zz", "https://example.com/a%25zz"),
    ])
    func `Parameters that do not identify the media are ignored on other sites`(link: String, normalized: String) throws
    {
        let identity = try #require(SourceIdentity(link))
        #expect(identity.normalizedURL == normalized)
        #expect(!identity.isVideoPage)
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
            "https://vimeo.com/1", "https://vimeo.com/2", "https://x.com/a/status/1", "https://x.com/a/status/2",
        ]
        #expect(Set(links.compactMap { SourceIdentity($0)?.normalizedURL }).count == links.count)
    }

    @Test func `An identity holds the link to fetch without secrets, and the domain`() throws {
        let identity = try #require(SourceIdentity("https://joe:secret@www.youtube.com/watch?v=dQw4w9WgXcQ&t=4#x"))
        #expect(identity.sourceURL == "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=4")
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
