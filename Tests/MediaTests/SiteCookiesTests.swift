import Foundation
import JSON
import System
import TestSupport
import Testing

@testable import Media

@Suite struct SiteCookiesTests {
    private let folder: TemporaryFolder
    private let cookies: SiteCookies
    private let now = Timestamp("2026-06-01T00:00:00Z") ?? .now

    init() throws {
        folder = try TemporaryFolder()
        var text = ""
        for (name, hosts) in [
            ("one", #"["example.com", "cdn.example.net"]"#), ("two", #""video.example.org""#),
        ] {
            try "".write(toFile: folder("\(name).txt"), atomically: false, encoding: .utf8)
            chmod(folder("\(name).txt"), 0o600)
            text += "[[site]]\nhost = \(hosts)\ncookies = \"\(name).txt\"\n"
        }
        text += "[[site]]\nhost = \"plain.example\"\n"
        try text.write(toFile: folder("sites.toml"), atomically: false, encoding: .utf8)
        cookies = SiteCookies(try SitesFile.read(folder("sites.toml")))
    }

    private func line(_ host: String, _ name: String = "sid", expiry: String = "0", isForDomain: Bool = true) -> String
    {
        [host, isForDomain ? "TRUE" : "FALSE", "/", "TRUE", expiry, name, "the-value-of-\(name)"].joined(
            separator: "\t")
    }

    private func bytes(_ lines: String...) -> [UInt8] {
        Array(("# Netscape HTTP Cookie File\n" + lines.map { $0 + "\n" }.joined()).utf8)
    }

    private func content(_ name: String) throws -> String {
        try String(contentsOfFile: folder("\(name).txt"), encoding: .utf8)
    }

    /// Returns the reason of a refusal in short words; nil if the file is stored.
    private func refusal(_ bytes: [UInt8]) -> String? {
        do throws(SiteCookies.Refusal) {
            _ = try cookies.store(bytes, now: now)
            return nil
        } catch {
            switch error {
            case .notNetscape(let line): return "line \(line)"
            case .empty: return "empty"
            case .foreign(let hosts): return "foreign \(hosts.joined(separator: " "))"
            case .expired(let site): return "expired \(site)"
            case .failed(let error): return error.reason
            }
        }
    }

    @Test func `Only the cookies of a site are stored for it, readable by the owner only`() throws {
        #expect(cookies.names == ["example.com", "video.example.org"])
        let hidden = "#HttpOnly_" + line("www.example.com", "hidden", isForDomain: false)
        let file = bytes(
            line(".example.com"), hidden, "# a comment", "", line("cdn.example.net", "cdn"),
            line(".bank.example", "bank"),
            line("notexample.com", "near"))
        #expect(try cookies.store(file, now: now) == ["example.com"])
        let stored = try content("one")
        #expect(stored.hasPrefix("# Netscape HTTP Cookie File\n"))
        #expect(stored.contains(hidden) && stored.contains("\tcdn\t") && stored.contains("\tsid\t"))
        #expect(!stored.contains("bank") && !stored.contains("near"))
        var info = stat()
        #expect(stat(folder("one.txt"), &info) == 0 && info.st_mode & 0o777 == 0o600)
        #expect(try content("two").isEmpty)
        #expect(KnownSecrets.removed(from: "x the-value-of-hidden") == "x [secret]")
    }

    @Test func `A site whose cookies have expired does not keep those of another one from being stored`() throws {
        let file = bytes(line("example.com", expiry: "1700000000"), line(".video.example.org"))
        #expect(try cookies.store(file, now: now) == ["video.example.org"])
        #expect(try content("one").isEmpty && content("two").contains("sid"))
    }

    @Test func `Sites that share a file get the cookies of all of them`() throws {
        let text = """
            [[site]]
            host = "example.com"
            cookies = "one.txt"
            [[site]]
            host = "example.net"
            cookies = "one.txt"

            """
        try text.write(toFile: folder("shared.toml"), atomically: false, encoding: .utf8)
        let shared = SiteCookies(try SitesFile.read(folder("shared.toml")))
        let file = bytes(line("example.com", "first"), line("example.net", "second"))
        #expect(try shared.store(file, now: now) == ["example.com", "example.net"])
        #expect(try content("one").contains("first") && content("one").contains("second"))
    }

    @Test func `A file can have the cookies of several sites, and of the domain above a site`() throws {
        let file = bytes(
            line("example.com"), line(".example.org", "above"), line("example.org", "page", isForDomain: false))
        #expect(try cookies.store(file, now: now) == ["example.com", "video.example.org"])
        #expect(try content("two").contains("above") && !content("two").contains("page"))
    }

    @Test func `What is no file of cookies, or one of another site, is refused and changes nothing`() throws {
        #expect(try cookies.store(bytes(line("example.com", "old")), now: now) == ["example.com"])
        let old = try content("one")
        #expect(refusal([]) == "empty" && refusal(bytes()) == "empty")
        #expect(refusal(Array(#"[{"domain": "example.com"}]"#.utf8)) == "line 1")
        #expect(refusal(bytes(line("example.com"), "example.com TRUE / TRUE 0 a b")) == "line 3")
        #expect(refusal(bytes(line("example.com") + "\tmore")) == "line 2")
        #expect(refusal(bytes(line("example.com", expiry: "soon"))) == "line 2")
        #expect(refusal(bytes(line("example.com", expiry: "nan"))) == "line 2")
        #expect(refusal(bytes(line("exa mple.com"))) == "line 2")
        #expect(refusal(bytes(line("example.com", "a\u{7}b"))) == "line 2")
        #expect(refusal([0xff, 0xfe, 0x00, 0x41]) == "line 1")
        #expect(refusal(bytes(line("b.example"), line(".com"), line("a.example"))) == "foreign a.example b.example com")
        #expect(refusal(bytes(line("example.com", expiry: "1700000000"))) == "expired example.com")
        #expect(
            refusal(bytes(Array(repeating: line("example.com"), count: 10_001).joined(separator: "\n"))) == "line 10002"
        )
        #expect(try content("one") == old)
    }

    @Test func `A file of a Windows program, with fractions of seconds, is read`() throws {
        let file = "\u{feff}# HTTP Cookie File\r\n" + line("example.com", expiry: "1900000000.5") + "\r\n"
        #expect(try cookies.store(Array(file.utf8), now: now) == ["example.com"])
        #expect(try !content("one").contains("\r"))
    }

    @Test func `The list tells age and expiry, and no names or values`() throws {
        _ = try cookies.store(
            bytes(
                line("example.com", "a", expiry: "1800000000"), line("example.com", "b", expiry: "1790000000"),
                line("example.com", "c", expiry: "99999999999999999999")), now: now)
        let summaries = cookies.summaries()
        #expect(summaries.map(\.site) == ["example.com", "video.example.org"] && summaries.map(\.count) == [3, 0])
        #expect(summaries[0].expiry == "2026-09-21"..."9999-12-31" && summaries[0].age < .seconds(60))
        #expect(summaries[1].expiry == nil)
    }

    @Test(
        arguments: [
            ("www.example.com", ["example.com"]), ("example.org", ["video.example.org"]), ("org", []), ("ple.com", []),
            ("", []), ("a.video.example.org", ["video.example.org"]), ("example.net", ["example.com"]),
        ] as [(String, [String])])
    func `A site is forgotten by names above and below its own, as its cookies are stored`(
        _ host: String, _ names: [String]
    ) throws {
        _ = try cookies.store(bytes(line("example.com"), line("video.example.org")), now: now)
        #expect(try cookies.forget(host) == names)
        let counts = Dictionary(uniqueKeysWithValues: cookies.summaries().map { ($0.site, $0.count) })
        for name in cookies.names { #expect(counts[name] == (names.contains(name) ? 0 : 1)) }
    }

    @Test func `A site that is forgotten leaves the cookies of others that share its file`() throws {
        let text = ["example.com", "example.net"].map { "[[site]]\nhost = \"\($0)\"\ncookies = \"one.txt\"\n" }.joined()
        try text.write(toFile: folder("shared.toml"), atomically: false, encoding: .utf8)
        let shared = SiteCookies(try SitesFile.read(folder("shared.toml")))
        _ = try shared.store(bytes(line("example.com", "first"), line("example.net", "second")), now: now)
        #expect(try shared.forget("www.example.com") == ["example.com"])
        #expect(try !content("one").contains("first") && content("one").contains("second"))
    }

    @Test func `Cookies that are forgotten leave an empty file`() throws {
        _ = try cookies.store(bytes(line("example.com")), now: now)
        #expect(try cookies.forget("CDN.example.net") == ["example.com"])
        #expect(try cookies.forget("plain.example").isEmpty && cookies.forget("../one.txt").isEmpty)
        #expect(try cookies.summaries()[0].count == 0 && CookieFile(folder("one.txt")).isEmpty)
        // The file of sites can still be read.
        _ = try SitesFile.read(folder("sites.toml"))
    }
}
