import HTTP
import TestSupport
import Testing

@testable import Media

@Suite struct ShortLinksTests {
    private func server() throws -> LoopbackServer {
        try LoopbackServer { request, connection in
            switch request.target {
            case "/video": connection.respond(301, [("Location", "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3")])
            case "/twice": connection.respond(302, [("Location", "/video")])
            case "/loop": connection.respond(302, [("Location", "/loop")])
            case "/cookie" where request.header("cookie") == "seen=1": connection.respond(302, [("Location", "/video")])
            case "/cookie":
                connection.respond(302, [("Location", "/cookie"), ("Set-Cookie", "seen=1; Path=/; HttpOnly")])
            case "/login": connection.respond(302, [("Location", "https://example.com/login?next=x")])
            case "/file": connection.respond(302, [("Location", "file:///etc/passwd")])
            default: connection.respond(text: "a page")
            }
        }
    }

    @Test func `A short link is resolved without requesting its target`() async throws {
        let server = try server()
        defer { server.stop() }
        let links = ShortLinks(additionalHosts: ["127.0.0.1:\(server.port)"], addressPolicy: .any)
        for path in ["/video", "/twice", "/cookie"] {
            let identity = try await links.resolve(server.url(path))
            #expect(identity.normalizedURL == "https://youtube.com/watch?v=dQw4w9WgXcQ")
        }
    }

    @Test(arguments: ["/loop", "/login", "/page", "/file"])
    func `A short link that leads nowhere is kept`(path: String) async throws {
        let server = try server()
        defer { server.stop() }
        let links = ShortLinks(additionalHosts: ["127.0.0.1"], addressPolicy: .any)
        let identity = try await links.resolve(server.url(path))
        #expect(identity.normalizedURL == "http://127.0.0.1:\(server.port)\(path)")
        #expect(server.requests.count < 10)
    }

    @Test func `A short link cannot reach this machine`() async throws {
        let server = try server()
        defer { server.stop() }
        let links = ShortLinks(additionalHosts: ["127.0.0.1"])
        let error = await #expect(throws: MediaError.self) { try await links.resolve(server.url("/video")) }
        #expect(error?.code == .refusedAddress)
        #expect(server.requests.isEmpty)
    }

    @Test(arguments: [
        ("https://t.co/x", true), ("https://vm.tiktok.com/x", true), ("https://www.tiktok.com/t/x", true),
        ("https://fb.watch/x", true), ("https://www.reddit.com/r/a/s/x", true),
        ("https://on.soundcloud.com/x", true),
        ("https://youtu.be/dQw4w9WgXcQ", false), ("https://www.reddit.com/r/a/comments/x", false),
        ("https://example.com/t/x", false), ("https://www.instagram.com/share/reel/x", true),
    ])
    func `Short links are recognised by host or by path`(link: String, expected: Bool) throws {
        #expect(ShortLinks().isShort(try #require(WebURL(link))) == expected)
    }

    @Test func `Invalid links are refused`() async {
        let error = await #expect(throws: MediaError.self) { try await ShortLinks().resolve("--exec=reboot") }
        #expect(error?.code == .invalidURL)
    }
}
