import Config
import Foundation
import HTTP
import System
import TestSupport
import Testing

@testable import Media

@Suite struct SitesFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    private func fault(_ text: String) -> String? {
        do {
            try write(text, to: folder("sites.toml"))
            _ = try SitesFile.read(folder("sites.toml"))
            return nil
        } catch {
            return "\(error)".replacing(folder.path + "/", with: "")
        }
    }

    @Test func `A file with all settings is read, and paths start at its folder`() throws {
        try write("", to: folder("c.txt"))
        chmod(folder("c.txt"), 0o600)
        try write(
            """
            [[site]]
            host = ["example.com", "münchen.example"]
            cookies = "c.txt"
            proxy = "socks5h://user:let-me%2Dout@127.0.0.1:9050"
            arguments = ["--sleep-requests", "1"]

            [[site]]
            host = "other.example"
            """, to: folder("sites.toml"))
        let sites = try SitesFile.read(folder("sites.toml"))
        let site = try #require(sites["www.example.com"])
        #expect(site.cookiesFile == folder("c.txt") && site.arguments == ["--sleep-requests", "1"])
        #expect(site.proxy?.description == "socks5h://127.0.0.1:9050")
        #expect(sites["xn--mnchen-3ya.example"] != nil && sites["other.example"]?.proxy == nil)
    }

    @Test func `The secrets of a site are kept out of what is shown`() throws {
        let cookie = "example.com\tFALSE\t/\tTRUE\t0"
        try write(
            "\(cookie)\tsid\tplanted-cookie-0123456789\n\(cookie)\tlanguage\ten-us-planted\n", to: folder("c.txt"))
        chmod(folder("c.txt"), 0o600)
        try write(
            """
            [[site]]
            host = "example.com"
            cookies = "c.txt"
            proxy = "http://user:planted%2Dproxy@127.0.0.1:9050"
            arguments = ["--password", "planted-password", "--add-headers=Authorization:planted-header", "--retries", "planted-count"]
            """, to: folder("sites.toml"))
        _ = try SitesFile.read(folder("sites.toml"))
        let texts = [
            "planted-cookie-0123456789", "planted-proxy", "planted%2Dproxy", "planted-password", "planted-header",
        ]
        for text in texts { #expect(KnownSecrets.removed(from: "It said \(text).") == "It said [secret].") }
        for text in ["en-us-planted", "planted-count"] { #expect(KnownSecrets.removed(from: text) == text) }
        let error = YtDlpMessage.error(
            ["ERROR: [generic] x: The login planted-password is blocked"], link: "https://a/x")
        #expect("\(error)".contains("The login [secret] is blocked") && !"\(error)".contains("planted"))
    }

    @Test func `Mistakes are named with their line`() throws {
        try write("", to: folder("open.txt"))
        chmod(folder("open.txt"), 0o644)
        #expect(fault("[[site]]\nhosts = 'x'")?.hasPrefix("sites.toml:2: unknown key \"hosts\"") == true)
        #expect(fault("[[site]]\nproxy = 'http://p:1'")?.hasPrefix("sites.toml:1: host is missing") == true)
        #expect(fault("[[site]]\nhost = 'https://example.com/'")?.contains("is not the host name of a site") == true)
        #expect(fault("[[site]]\nhost = 'example.com:8080'")?.contains("is not the host name of a site") == true)
        #expect(
            fault("[[site]]\nhost = 'a.example'\n[[site]]\nhost = 'A.example'")
                == "sites.toml:4: a.example has settings already")
        let proxy = fault("[[site]]\nhost = 'a.example'\nproxy = 'ftp://u:secret@p:1'")
        #expect(proxy?.hasPrefix("sites.toml:3: proxy is a URL") == true && proxy?.contains("secret") == false)
        #expect(fault("[[site]]\nhost = 'a.example'\ncookies = 'none.txt'")?.contains("unable to read") == true)
        #expect(fault("[[site]]\nhost = 'a.example'\ncookies = 'open.txt'")?.contains("chmod 600") == true)
        #expect(fault("site = 1")?.contains("[[site]]") == true)
    }
}
