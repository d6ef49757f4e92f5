import Glibc
import TestSupport
import Testing

@testable import HTTP

@Suite struct FailureTests {
    private let client = HTTPClient()

    private func failure(of request: HTTPRequest) async -> HTTPError? {
        await #expect(throws: HTTPError.self) { try await client.send(request) }
    }

    @Test(arguments: ["127.0.0.1", "localhost", "0x7f.1", "[::1]"])
    func `A request to a private address fails before connecting`(host: String) async throws {
        let server = try LoopbackServer { $1.respond() }
        defer { server.stop() }
        var request = HTTPRequest("GET", "http://\(host):\(server.port)/secret")
        request.addressPolicy = .publicOnly
        let error = await failure(of: request)
        #expect(error?.code == .refusedAddress)
        #expect(error?.isTransient == false)
        #expect(server.requests.isEmpty)
    }

    @Test func `A request to a private address cannot reuse the pooled connection of an allowed request`() async throws
    {
        let server = try LoopbackServer { $1.respond() }
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url("/"))
        _ = try await client.send(request)
        request.addressPolicy = .publicOnly
        #expect(await failure(of: request)?.code == .refusedAddress)
        #expect(server.requests.count == 1)
    }

    @Test func `An unreachable server is reported without the URL's path or query`() async throws {
        let server = try LoopbackServer { $1.respond() }
        server.stop()
        let request = HTTPRequest("GET", "http://user:word@127.0.0.1:1/bot123:TOKEN/x?key=SECRET")
        let error = await failure(of: request)
        #expect(error?.code == .unreachable)
        #expect(error?.isTransient == true)
        #expect(error?.message == "unable to connect to 127.0.0.1: Connection refused")
    }

    @Test func `An unknown host name is reported`() async {
        let error = await failure(of: HTTPRequest("GET", "http://no-such-host.invalid/x"))
        #expect(error?.code == .unreachable)
        #expect(error?.message == "no address found for no-such-host.invalid")
    }

    @Test(arguments: ["", "ftp://h/", "h", "http://h/ x"])
    func `An invalid URL is reported`(text: String) async {
        #expect(await failure(of: HTTPRequest("GET", text))?.code == .invalidURL)
    }

    @Test(arguments: ["/before-head", "/in-body"])
    func `A request ends when the peer goes silent`(path: String) async throws {
        let server = try LoopbackServer { request, connection in
            if request.target == "/in-body" {
                connection.send(head: 200, [("Content-Length", "100")])
                connection.send([1, 2, 3])
            }
            connection.waitForHangUp()
        }
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url(path))
        request.stallTimeout = .milliseconds(200)
        let error = await failure(of: request)
        #expect(error?.code == .timedOut)
        #expect(error?.isTransient == true)
    }

    @Test func `A request ends at its deadline although bytes keep arriving`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.send(head: 200, [("Content-Length", "1000000")])
            for _ in 0..<200 {
                connection.send([1])
                usleep(20_000)
            }
        }
        defer { server.stop() }
        var request = HTTPRequest("GET", server.url("/"))
        request.deadline = .milliseconds(300)
        #expect(await failure(of: request)?.code == .timedOut)
    }

    @Test(arguments: ["/length", "/chunked", "/reset", "/nothing"])
    func `A body that ends early is reported as truncated`(path: String) async throws {
        let server = try LoopbackServer { request, connection in
            switch request.target {
            case "/length", "/reset":
                connection.send(head: 200, [("Content-Length", "100")])
                connection.send([1, 2, 3])
            case "/chunked":
                connection.send(head: 200, [("Transfer-Encoding", "chunked")])
                connection.send(Array("a\r\n123".utf8))
            default: break
            }
            if request.target == "/reset" { connection.reset() } else { connection.close() }
        }
        defer { server.stop() }
        let error = await failure(of: HTTPRequest("GET", server.url(path)))
        #expect(error?.code == .truncated)
        #expect(error?.isTransient == true)
    }

    @Test func `A cancelled request ends at once and the client remains usable`() async throws {
        let server = try LoopbackServer { request, connection in
            if request.target == "/hang" { connection.waitForHangUp() } else { connection.respond() }
        }
        defer { server.stop() }
        let client = client
        let task = Task { try await client.send(HTTPRequest("GET", server.url("/hang"))) }
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        let error = await #expect(throws: HTTPError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(try await client.send(HTTPRequest("GET", server.url("/"))).status == 200)
    }

    @Test func `A request that is cancelled before it starts sends nothing`() async throws {
        let server = try LoopbackServer { $1.respond() }
        defer { server.stop() }
        let client = client
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await client.send(HTTPRequest("GET", server.url("/")))
        }
        let error = await #expect(throws: HTTPError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(server.requests.isEmpty)
    }

    @Test func `A server that does not speak HTTP is a protocol error`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.send(Array("220 smtp.example ESMTP\r\n".utf8))
            connection.close()
        }
        defer { server.stop() }
        #expect(await failure(of: HTTPRequest("GET", server.url("/")))?.code == .protocolError)
    }
}
