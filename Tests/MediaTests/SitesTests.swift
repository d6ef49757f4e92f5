import Foundation
import HTTP
@testable import Media
import TestSupport
import Testing

@Suite struct SitesTests {
    @Test func `The longest name that a host ends with decides`() {
        func site(_ argument: String) -> Site {
            var site = Site()
            site.arguments = [argument]
            return site
        }
        var sites = Sites()
        for (host, argument) in [("example.com", "all"), ("Video.Example.com", "video")] {
            let isNew = sites.add(site(argument), host: host)
            #expect(isNew)
        }
        let isNew = sites.add(site("again"), host: "video.example.com")
        #expect(!isNew)
        for (link, argument) in [
            ("https://example.com/1", "all"), ("http://www.example.com:8080/", "all"),
            ("https://VIDEO.example.com/", "again"), ("https://a.b.video.example.com/", "again"),
        ] {
            #expect(sites.site(of: link)?.arguments == [argument])
        }
        for link in ["https://badexample.com/", "https://com/", "https://example.com.evil.example/", "x"] {
            #expect(sites.site(of: link) == nil)
        }
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    private func cookies(_ lines: String...) -> String {
        "# Netscape HTTP Cookie File\n\n" + lines.map { $0.replacing(" ", with: "\t") + "\n" }.joined()
    }

    @Test func `Cookies that a site renews are kept, and those of other hosts are not`() throws {
        let folder = try TemporaryFolder()
        let (path, copy) = (folder("own.txt"), folder("copy.txt"))
        try write(
            cookies(".example.com TRUE / TRUE 0 id old", "#HttpOnly_www.example.com FALSE / TRUE 0 s 1"), to: path)
        let file = try CookieFile(path)
        try write(
            cookies(
                ".example.com TRUE / TRUE 0 id new", "#HttpOnly_www.example.com FALSE / TRUE 0 s 2",
                ".evil.example TRUE / TRUE 0 id theirs", "too few fields"), to: copy)
        file.refresh(from: copy)
        #expect(
            try String(contentsOfFile: path, encoding: .utf8)
                == cookies(".example.com TRUE / TRUE 0 id new", "#HttpOnly_www.example.com FALSE / TRUE 0 s 2"))
        var info = stat()
        #expect(stat(path, &info) == 0 && info.st_mode & 0o777 == 0o600)
    }

    @Test func `A file that was changed in the meantime, or whose copy lost all, stays as it is`() throws {
        let folder = try TemporaryFolder()
        let (path, copy) = (folder("own.txt"), folder("copy.txt"))
        let old = cookies(".example.com TRUE / TRUE 0 id old")
        try write(old, to: path)
        let file = try CookieFile(path)
        try write(cookies(), to: copy)
        file.refresh(from: copy)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == old)
        let changed = cookies(".example.com TRUE / TRUE 0 id changed")
        try write(changed, to: path)
        try write(cookies(".example.com TRUE / TRUE 0 id new"), to: copy)
        file.refresh(from: copy)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == changed)
    }

    @Test(arguments: [
        "http://127.0.0.1:3128", "socks5h://user:pass@proxy.example:1080", "socks5://[::1]:1080", "socks4a://p:1080/",
    ])
    func `A proxy's URL is read`(_ text: String) {
        #expect(ServerProxy(text) != nil)
    }

    @Test(arguments: [
        "", "proxy.example", "socks5://proxy.example", "https://proxy.example:443", "file:///etc/passwd", "http://p:0",
        "http://p:99999", "http://p:80/path", "http://p:80?q", "socks5://a b:1",
    ])
    func `Any other text is no proxy`(_ text: String) {
        #expect(ServerProxy(text) == nil)
    }
}
