import Synchronization
import TestSupport
import Testing

@testable import HTTP

@Suite struct RedirectTests {
    private let client = HTTPClient()

    private func redirecting() throws -> LoopbackServer {
        try LoopbackServer { request, connection in
            switch request.target {
            case "/file": connection.respond(302, [("Location", "file:///etc/passwd")], text: "")
            case "/loop": connection.respond(302, [("Location", "/loop")])
            case "/start": connection.respond(301, [("Location", "/middle")], text: "not this body")
            case "/middle": connection.respond(307, [("Location", "/end?x=1")], text: "nor this")
            default: connection.respond(text: "end")
            }
        }
    }

    @Test func `A redirect is the response when none may be followed`() async throws {
        let server = try redirecting()
        defer { server.stop() }
        let response = try await client.send(HTTPRequest("GET", server.url("/start")))
        #expect(response.status == 301)
        #expect(response.headers["location"] == "/middle")
        #expect(response.body == Array("not this body".utf8))
    }

    @Test func `Redirects are followed to the end and only the last head is reported`() async throws {
        let server = try redirecting()
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url("/start"))
        request.maxRedirects = 5
        let seen = Mutex<[Int]>([])
        let body = Mutex<[UInt8]>([])
        let head = try await client.stream(request) { head in
            seen.withLock { $0.append(head.status) }
            return .receive
        } onBody: { bytes in
            body.withLock { $0.append(contentsOf: bytes) }
        }
        #expect(seen.withLock { $0 } == [200])
        #expect(body.withLock { $0 } == Array("end".utf8))
        #expect(head.effectiveURL == server.url("/end?x=1"))
    }

    @Test func `An endless redirect is an error`() async throws {
        let server = try redirecting()
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url("/loop"))
        request.maxRedirects = 4
        let error = await #expect(throws: HTTPError.self) { try await client.send(request) }
        #expect(error?.code == .redirectLoop)
        #expect(server.requests.count == 5)
    }

    @Test func `A redirect to a local file is an error`() async throws {
        let server = try redirecting()
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url("/file"))
        request.maxRedirects = 4
        let error = await #expect(throws: HTTPError.self) { try await client.send(request) }
        #expect(error?.code == .invalidURL)
    }

    @Test func `Cookies live for the redirects of one request, and no longer`() async throws {
        let server = try LoopbackServer { request, connection in
            guard request.header("cookie") == "seen=1" else {
                return connection.respond(302, [("Location", request.target), ("Set-Cookie", "seen=1; Path=/")])
            }
            connection.respond(text: "end")
        }
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url("/file"))
        request.maxRedirects = 3
        for _ in 0..<2 {
            #expect(try await client.send(request).body == Array("end".utf8))
        }
        #expect(server.requests.map { $0.header("cookie") } == [nil, "seen=1", nil, "seen=1"])
    }

    @Test func `A header in Latin-1 and one in UTF-8 are read alike`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.send(
                Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Latin: caf".utf8) + [0xe9]
                    + Array("\r\nX-UTF: café\r\nConnection: close\r\n\r\n".utf8))
            connection.close()
        }
        defer { server.stop() }
        let response = try await client.send(HTTPRequest("GET", server.url("/")))
        #expect(response.headers["X-Latin"] == "café" && response.headers["X-UTF"] == "café")
    }
}
