import Glibc
import Testing

@testable import HTTP

@Suite struct WebURLTests {
    @Test(arguments: [
        "", "example.com", "//example.com/", "/x", "ftp://example.com/", "file:///etc/passwd",
        "javascript:alert(1)",
        "http://", "https:///", "http://exa mple.com/", "http://example.com/\n", "http://example.com/\u{0}x",
        " http://example.com/", "http://example.com:99999/", "http://[::1", "http://[fe80::1%25eth0]/",
        "-http://example.com", "data:text/html,x", "http://example.com/" + String(repeating: "a", count: 8200),
    ])
    func `A URL is refused when it is relative, not HTTP, or hides characters`(text: String) {
        #expect(WebURL(text) == nil)
    }

    /// An international name that has no ASCII form, because it is too long.
    @Test func `Refused names occupy no memory`() throws {
        let url = "http://\(String(repeating: "ä", count: 4000))/"
        func residentPages() throws -> Int {
            let file = try #require(fopen("/proc/self/statm", "r"))
            defer { fclose(file) }
            var text = [CChar](repeating: 0, count: 200)
            try #require(fgets(&text, 200, file) != nil)
            let words = String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
            return try #require(Int(words[1]))
        }
        #expect(WebURL(url) == nil)
        let before = try residentPages()
        for _ in 0..<4000 { _ = WebURL(url) }
        // They have 32 MB of names.
        #expect(try residentPages() - before < (16 << 20) / 4096)
    }

    @Test func `A URL is split into its parts`() throws {
        let url = try #require(WebURL("HTTPS://User:pw@WWW.Example.COM:8443/a/../b%20c?x=1&y=%26#frag"))
        #expect(url.scheme == "https")
        #expect(url.host == "www.example.com")
        #expect(url.port == 8443)
        #expect(url.path == "/b%20c")
        #expect(url.query == "x=1&y=%26")
        #expect(url.fragment == "frag")
        #expect(url.hasCredentials)
        #expect(url.withoutCredentials().description == "https://www.example.com:8443/b%20c?x=1&y=%26#frag")
        #expect(!url.withoutCredentials().hasCredentials)
    }

    @Test(arguments: ["http://h:80/", "https://h:443/", "http://h/"])
    func `The scheme's default port is omitted`(text: String) throws {
        #expect(try #require(WebURL(text)).port == nil)
        #expect(try #require(WebURL(text)).description.hasSuffix("//h/"))
    }

    @Test(arguments: [
        ("http://0x7f.1/", "127.0.0.1"), ("http://2130706433/", "127.0.0.1"), ("http://0177.0.0.1/", "127.0.0.1"),
        ("http://[::1]:8080/", "::1"), ("http://[::FFFF:7f00:1]/", "::ffff:127.0.0.1"),
        ("http://%31%32%37.1/", "127.0.0.1"), ("http://\u{FEFF}2130706433/", "127.0.0.1"),
        ("http://0x7f\u{FF0E}1/", "127.0.0.1"), ("http://\u{FEFF}%4dünchen.example/", "xn--mnchen-3ya.example"),
        ("http://M%55nich.example/", "munich.example"), ("http://münchen.example/", "xn--mnchen-3ya.example"),
    ])
    func `Unusual spellings of an address are normalised`(text: String, host: String) throws {
        let url = try #require(WebURL(text))
        #expect(IPAddress(url.host) == IPAddress(host))
        #expect(url.host == host || IPAddress(host) != nil)
    }

    @Test func `Non-ASCII characters are percent-encoded`() throws {
        let url = try #require(WebURL("https://example.com/Käse?q=ü"))
        #expect(url.description == "https://example.com/K%c3%a4se?q=%c3%bc")
    }

    @Test(arguments: [
        ("/z", "http://h/z"), ("z?q", "http://h/a/z?q"), ("//other/x", "http://other/x"),
        ("https://s/", "https://s/"), ("../../z", "http://h/z"), ("/a b", "http://h/a%20b"),
        ("?n=2", "http://h/a/b?n=2"),
    ])
    func `Relative references are resolved`(reference: String, result: String) throws {
        let base = try #require(WebURL("http://h/a/b?c=d"))
        #expect(base.resolving(reference)?.description == result)
    }

    @Test(arguments: ["file:///etc/passwd", "ftp://h/", "gopher://h/"])
    func `A reference with another scheme is refused`(reference: String) throws {
        #expect(try #require(WebURL("http://h/")).resolving(reference) == nil)
    }

    @Test func `Parsing a URL again does not change it`() throws {
        for text in ["http://h", "http://h?x", "http://u@h:81/p;x=1/?q#f", "https://[2001:db8::1]/"] {
            let url = try #require(WebURL(text))
            #expect(WebURL(url.description) == url)
        }
    }
}
