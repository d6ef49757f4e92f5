import Synchronization
import TestSupport
import Testing

@testable import HTTP

@Suite struct HTTPClientTests {
    private let client = HTTPClient(userAgent: "tgpipe/test")

    @Test func `A request returns the body, also with an error status`() async throws {
        let server = try LoopbackServer {
            $1.respond($0.target == "/ok" ? 200 : 404, [("X-A", "1"), ("x-a", "2")], text: "hello")
        }
        defer { server.stop() }
        let response = try await client.send(HTTPRequest("GET", server.url("/ok")))
        #expect(response.status == 200)
        #expect(response.body == Array("hello".utf8))
        #expect(response.headers["X-a"] == "1")
        #expect(response.headers.values("x-A") == ["1", "2"])
        #expect(try await client.send(HTTPRequest("GET", server.url("/no"))).status == 404)
        #expect(server.requests[0].header("user-agent") == "tgpipe/test")
        #expect(server.requests[0].header("accept-encoding") == nil)
    }

    @Test func `A connection is reused`() async throws {
        let server = try LoopbackServer { $1.respond(text: "x") }
        defer { server.stop() }
        for _ in 0..<5 { _ = try await client.send(HTTPRequest("GET", server.url("/"))) }
        #expect(Set(server.requests.map(\.connection)) == [1])
    }

    @Test func `A pooled connection that the server closed is replaced`() async throws {
        let server = try LoopbackServer { request, connection in
            connection.respond(text: request.target)
            connection.close()
        }
        defer { server.stop() }
        for number in 0..<5 {
            #expect(
                try await client.send(HTTPRequest("GET", server.url("/\(number)"))).body == Array("/\(number)".utf8))
        }
    }

    @Test(arguments: ["GET", "POST", "PUT", "DELETE", "PATCH"])
    func `Each method is sent unchanged`(method: String) async throws {
        let server = try LoopbackServer { $1.respond(text: $0.method + String(decoding: $0.body, as: UTF8.self)) }
        defer { server.stop() }
        var request = HTTPRequest(method, server.url("/"))
        #expect(try await client.send(request).body == Array(method.utf8))
        request.body = .bytes(Array("body".utf8))
        #expect(try await client.send(request).body == Array("\(method)body".utf8))
        #expect(server.requests.last?.header("content-type") == nil)
        #expect(server.requests.last?.header("expect") == nil)
    }

    @Test func `A HEAD request does not wait for a body`() async throws {
        let server = try LoopbackServer { $1.send(head: 200, [("Content-Length", "1000000000")]) }
        defer { server.stop() }
        let response = try await client.send(HTTPRequest("HEAD", server.url("/")))
        #expect(response.head.contentLength == 1_000_000_000)
        #expect(response.body.isEmpty)
    }

    @Test func `Headers are sent as given, also empty ones, and line breaks in them are refused`() async throws {
        let server = try LoopbackServer { $1.respond() }
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url("/"))
        request.headers = [("X-Empty", ""), ("X-Text", "a: b")]
        _ = try await client.send(request)
        #expect(server.requests[0].header("x-empty") == "")
        #expect(server.requests[0].header("x-text") == "a: b")
        for (name, value) in [("X", "a\r\nEvil: 1"), ("X\nEvil", "1"), ("X", "a\u{0}"), ("", "x"), ("X:Y", "1")] {
            request.headers = [(name, value)]
            let error = await #expect(throws: HTTPError.self) { try await client.send(request) }
            #expect(error?.code == .protocolError)
        }
        #expect(server.requests.count == 1)
    }

    @Test func `A body over the limit is refused, whether its length was announced or not`() async throws {
        let server = try LoopbackServer { request, connection in
            if request.target == "/announced" { return connection.respond(body: [UInt8](repeating: 1, count: 2000)) }
            connection.send(head: 200, [("Connection", "close")])
            connection.send([UInt8](repeating: 1, count: 2000))
            connection.close()
        }
        defer { server.stop() }
        for path in ["/announced", "/not"] {
            var request = HTTPRequest("GET", server.url(path))
            request.maxBodyBytes = 1999
            let error = await #expect(throws: HTTPError.self) { try await client.send(request) }
            #expect(error?.code == .tooLarge)
            request.maxBodyBytes = 2000
            #expect(try await client.send(request).body.count == 2000)
        }
    }

    @Test func `The response head comes before the body and the caller can stop there`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.send(head: 200, [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", "10")])
            connection.waitForHangUp()
        }
        defer { server.stop() }
        let head = try await client.stream(HTTPRequest("GET", server.url("/"))) { _ in
            .stop
        } onBody: { _ in
        }
        #expect(head.status == 200)
        #expect(head.contentType == "text/html")
    }

    @Test func `An error that a callback throws reaches the caller`() async throws {
        struct DiskFull: Error {}
        let server = try LoopbackServer { $1.respond(text: "x") }
        defer { server.stop() }
        let error = await #expect(throws: HTTPError.self) {
            try await client.stream(HTTPRequest("GET", server.url("/"))) { _ in
                .receive
            } onBody: { _ in
                throw DiskFull()
            }
        }
        #expect(error?.code == .sink)
        #expect(error?.underlying is DiskFull)
    }

    @Test func `Many requests run concurrently`() async throws {
        let server = try LoopbackServer { $1.respond(text: $0.target) }
        defer { server.stop() }
        let client = client
        let answers = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let response = try await client.send(HTTPRequest("GET", server.url("/\(number)")))
                    return response.body == Array("/\(number)".utf8)
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(answers == 100)
    }
}
