import Testing

@testable import HTTP

@Suite("A web URL")
struct WebURLTests {
    @Test(
        "is refused when it is not absolute, not http(s), or hides something",
        arguments: [
            "", "example.com", "//example.com/", "/x", "ftp://example.com/", "file:///etc/passwd",
            "javascript:alert(1)",
            "http://", "https:///", "http://exa mple.com/", "http://example.com/\n", "http://example.com/\u{0}x",
            " http://example.com/", "http://example.com:99999/", "http://[::1", "http://[fe80::1%25eth0]/",
            "-http://example.com", "data:text/html,x", "http://example.com/" + String(repeating: "a", count: 8200),
        ])
    func refused(text: String) {
        #expect(WebURL(text) == nil)
    }

    @Test("has its parts")
    func parts() throws {
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

    @Test("has no port when it is the scheme's own", arguments: ["http://h:80/", "https://h:443/", "http://h/"])
    func ownPort(text: String) throws {
        #expect(try #require(WebURL(text)).port == nil)
        #expect(try #require(WebURL(text)).description.hasSuffix("//h/"))
    }

    @Test(
        "shows an odd address as what it is",
        arguments: [
            ("http://0x7f.1/", "127.0.0.1"), ("http://2130706433/", "127.0.0.1"), ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://[::1]:8080/", "::1"), ("http://[::FFFF:7f00:1]/", "::ffff:127.0.0.1"),
            ("http://M%55nich.example/", "munich.example"), ("http://münchen.example/", "xn--mnchen-3ya.example"),
        ])
    func oddHosts(text: String, host: String) throws {
        let url = try #require(WebURL(text))
        #expect(IPAddress(url.host) == IPAddress(host))
        #expect(url.host == host || IPAddress(host) != nil)
    }

    @Test("percent-encodes what is not ASCII")
    func nonASCII() throws {
        let url = try #require(WebURL("https://example.com/Käse?q=ü"))
        #expect(url.description == "https://example.com/K%c3%a4se?q=%c3%bc")
    }

    @Test(
        "resolves references",
        arguments: [
            ("/z", "http://h/z"), ("z?q", "http://h/a/z?q"), ("//other/x", "http://other/x"),
            ("https://s/", "https://s/"), ("../../z", "http://h/z"), ("/a b", "http://h/a%20b"),
            ("?n=2", "http://h/a/b?n=2"),
        ])
    func resolves(reference: String, result: String) throws {
        let base = try #require(WebURL("http://h/a/b?c=d"))
        #expect(base.resolving(reference)?.description == result)
    }

    @Test("resolves no reference to another scheme", arguments: ["file:///etc/passwd", "ftp://h/", "gopher://h/"])
    func refusesOtherSchemes(reference: String) throws {
        #expect(try #require(WebURL("http://h/")).resolving(reference) == nil)
    }

    @Test("is parsed to the same again")
    func stable() throws {
        for text in ["http://h", "http://h?x", "http://u@h:81/p;x=1/?q#f", "https://[2001:db8::1]/"] {
            let url = try #require(WebURL(text))
            #expect(WebURL(url.description) == url)
        }
    }
}
