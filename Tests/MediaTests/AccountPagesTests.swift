import Glibc
import JSON
import Payloads
import System
import TestSupport
import Testing

@testable import Media

/// Checks which pages only those may fetch who may use the account that the bot is signed in with.
@Suite struct AccountPagesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Returns settings with a file of sites, and with a cookie of each host in a file, which is that of all sites if wanted.
    private func settings(_ sites: String, cookiesOf hosts: String..., everywhere: Bool = false) throws -> MediaSettings
    {
        let lines = hosts.map { ".\($0)\tTRUE\t/\tTRUE\t0\tsid\tvalue-of-a-login\n" }.joined()
        let text = hosts.isEmpty ? "" : "# Netscape HTTP Cookie File\n\n\(lines)"
        try SmallFile.write(Array(text.utf8), to: folder("c.txt"))
        chmod(folder("c.txt"), 0o600)
        try SmallFile.write(Array(sites.utf8), to: folder("sites.toml"))
        var settings = MediaSettings(directory: folder("jobs"))
        settings.sites = try SitesFile.read(folder("sites.toml"))
        if everywhere { settings.ytDlp.cookiesFile = folder("c.txt") }
        return settings
    }

    private static let youTube = "[[site]]\nhost = \"youtube.com\"\ncookies = \"c.txt\"\n"

    @Test(arguments: [
        "https://www.youtube.com/feed/history", "https://youtube.com/FEED/subscriptions/", "https://m.youtube.com/",
        "https://www.youtube.com/playlist?list=WL", "https://music.youtube.com/playlist?x=1&list=LM",
        "https://www.youtube.com/playlist?list=a&list=%57L", "https://www.youtube.com/%66eed/you",
        "https://www.youtube.com//feed//history", "https://www.youtube.com/a/%2E%2E/feed/history",
        "https://www.youtube.com/watch?v=aaaaaaaaaaa&list=LL", "https://www.youtube.com/x#/feed/history",
        "http://www.youtube.com:80/feed/history#x", "https://www.youtube.com/?x=1",
    ])
    func `Pages of the account are recognised in any spelling`(_ link: String) throws {
        #expect(try settings(Self.youTube, cookiesOf: "youtube.com").isAccountPage(link))
        // Without a login, such a page shows nothing of anybody.
        #expect(try !settings(Self.youTube).isAccountPage(link))
    }

    @Test(arguments: [
        "https://www.youtube.com/watch?v=aaaaaaaaaaa", "https://www.youtube.com/@someone/videos",
        "https://www.youtube.com/playlist?list=PLWL", "https://www.youtube.com/feedback",
        "https://vimeo.com/watchlater",
        "https://notyoutube.com/feed/history", "telegram:file/x", "",
    ])
    func `Other pages and other sites are not`(_ link: String) throws {
        #expect(try !settings(Self.youTube, cookiesOf: "youtube.com").isAccountPage(link))
    }

    @Test func `The list that a link names beside a video counts only if it is wanted`() throws {
        let fetcher = MediaFetcher(try settings(Self.youTube, cookiesOf: "youtube.com"))
        let video = try #require(SourceIdentity("https://www.youtube.com/watch?v=aaaaaaaaaaa&list=WL"))
        #expect(!fetcher.isAccountPage(video, asList: false) && fetcher.isAccountPage(video, asList: true))
    }

    @Test(arguments: [
        "https://x.com/i/bookmarks", "https://twitter.com/i/bookmarks/12", "https://x.com/me/likes",
        "https://www.instagram.com/me/saved/all-posts/", "https://www.instagram.com/direct/inbox/",
        "https://www.pixiv.net/bookmark.php?rest=hide", "https://www.pixiv.net/en/users/7/bookmarks/artworks?rest=hide",
        "https://old.reddit.com/user/me/saved", "https://www.reddit.com/", "https://www.tiktok.com/foryou",
        "https://vimeo.com/watchlater", "https://www.facebook.com/saved/?x", "https://t.bilibili.com/",
    ])
    func `Cookies for all sites make the pages of all well-known sites those of an account`(_ link: String) throws {
        #expect(try settings("", cookiesOf: "any.example", everywhere: true).isAccountPage(link))
    }

    @Test func `The pages of a site that nobody knows are recognised by their usual names, if it has a cookie`() throws
    {
        let settings = try settings("", cookiesOf: "tube.example", everywhere: true)
        for (link, isOne) in [
            ("https://tube.example/history", true), ("https://www.tube.example/inbox/7", true),
            ("https://tube.example/history/of-rome", false), ("https://tube.example/", false),
            ("https://tube.example/watch/7", false), ("https://other.example/history", false),
        ] {
            #expect(settings.isAccountPage(link) == isOne, "\(link)")
        }
    }

    @Test(arguments: ["--netrc", "--username", "--cookies-from-browser=firefox", "--add-headers", "--retries"])
    func `A login by arguments counts like one by cookies`(_ argument: String) throws {
        let sites = "[[site]]\nhost = \"tube.example\"\narguments = [\"\(argument)\", \"x\"]\n"
        #expect(try settings(sites).isAccountPage("https://tube.example/history") == (argument != "--retries"))
    }

    @Test func `The file of sites adds pages and makes exceptions`() throws {
        let sites = """
            [[site]]
            host = "tube.example"
            cookies = "c.txt"
            private = ["/users/*/drafts", "/list?id=saved*", "?show=private", "/club/*", "!/history"]
            """
        let settings = try settings(sites, cookiesOf: "tube.example")
        for (path, isOne) in [
            ("/users/ann/drafts", true), ("/users/ann/drafts/1", false), ("/users/drafts", false),
            ("/list?x=1&id=saved-2", true), ("/list?id=others", false), ("/any/page?show=private", true),
            ("/club", true), ("/club/1/2", true), ("/clubs", false), ("/history", false), ("/bookmarks", true),
        ] {
            #expect(settings.isAccountPage("https://tube.example\(path)") == isOne, "\(path)")
        }
    }

    @Test(arguments: ["", "history", "!", "/a?b", "/a?=b", "/a?b=", "/a#b", "https://a.example/", "/a?b=c=d"])
    func `A pattern that is none is refused, with its line`(_ text: String) throws {
        let sites = "[[site]]\nhost = \"tube.example\"\nprivate = [\"/x\", \"\(text)\"]\n"
        let error = #expect(throws: (any Error).self) { try settings(sites) }
        #expect("\(error.map { "\($0)" } ?? "")".contains("sites.toml:3"))
    }

    // MARK: Pages that lead there

    /// Makes a yt-dlp that answers everything with one description.
    private func fetcher(_ answer: String) throws -> MediaFetcher {
        let program = folder("yt-dlp")
        try SmallFile.write(Array("#!/usr/bin/python3\nprint(r\"\"\"\(answer)\"\"\")\n".utf8), to: program)
        chmod(program, 0o755)
        var settings = try settings(Self.youTube, cookiesOf: "youtube.com")
        settings.ytDlp.program = program
        return MediaFetcher(settings)
    }

    private func job(_ link: String) throws -> MediaJob {
        var job = MediaJob(.video, try #require(SourceIdentity(link)))
        job.readsAccountPages = false
        return job
    }

    @Test(arguments: [
        #"{"_type": "playlist", "webpage_url": "https://www.youtube.com/playlist?list=WL", "entries": []}"#,
        #"{"_type": "playlist", "entries": [{"webpage_url": "https://www.youtube.com/feed/you", "entries": []}]}"#,
        #"{"id": "1", "original_url": "https://www.youtube.com/feed/history", "formats": []}"#,
    ])
    func `A page of another address that leads to one of the account is refused`(_ answer: String) async throws {
        let (fetcher, range) = (try fetcher(answer), try #require(ItemRange(1, 5)))
        // A short link's host is not asked, so that no other machine is.
        let identity = try #require(SourceIdentity("https://www.youtube.com/redirect?q=1"))
        let listing = await #expect(throws: MediaError.self) {
            try await fetcher.list(identity, range, isAskedFor: true, readsAccountPages: false)
        }
        #expect(listing?.code == .accountPage)
        let looking = await #expect(throws: MediaError.self) {
            try await fetcher.choices(identity, readsAccountPages: false)
        }
        #expect(looking?.code == .accountPage)
        let job = try job("https://www.youtube.com/watch?v=aaaaaaaaaaa")
        let fetching = await #expect(throws: MediaError.self) { try await fetcher.fetch(job) }
        #expect(fetching?.code == .accountPage)
    }

    @Test func `A list of links to such pages is no such page, and admins may read all`() async throws {
        let range = try #require(ItemRange(1, 5))
        let identity = try #require(SourceIdentity("https://good.example/page"))
        let entry = #"{"_type": "url", "url": "https://www.youtube.com/feed/history"}"#
        let links = try fetcher(#"{"_type": "playlist", "entries": [\#(entry), \#(entry)]}"#)
        #expect(try await links.list(identity, range, isAskedFor: true, readsAccountPages: false)?.items.count == 2)
        let own = try fetcher(
            #"{"_type": "playlist", "webpage_url": "https://www.youtube.com/feed/you", "entries": [\#(entry)]}"#)
        #expect(try await own.list(identity, range, isAskedFor: true)?.items.count == 1)
    }
}
