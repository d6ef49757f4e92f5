import Glibc
import HTTP
@testable import Media
import Process
import System
import TestSupport
import Testing

@Suite struct AddressGuardProxyTests {
    /// Returns the HTTP status that curl gets through the proxy, be it the site's or that of the proxy's refusal.
    private func curl(_ proxy: AddressGuardProxy, _ url: String, proxyURL: String? = nil, _ more: String...) throws
        -> String
    {
        let address = try proxyURL ?? #require(proxy.environment["http_proxy"])
        return try SpawnedProgram.output(
            of: ["curl", "-sS", "-m", "20", "-w", " %{http_code} %{http_connect}", "-x", address] + more + [
                url
            ])
    }

    private func server() throws -> LoopbackServer {
        try LoopbackServer { request, connection in
            connection.respond(
                text: "\(request.method) \(request.target) \(request.header("proxy-authorization") ?? "-")")
        }
    }

    @Test func `The proxy refuses loopback and private addresses, directly or through a tunnel`() throws {
        let server = try server()
        let proxy = try AddressGuardProxy(policy: .publicOnly, in: JailNetwork(listens: true, isIsolated: false))
        defer {
            server.stop()
            proxy.stop()
        }
        for host in ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"] {
            #expect(try curl(proxy, "http://\(host):\(server.port)/secret") == " 403 000")
            #expect(try curl(proxy, "https://\(host):\(server.port)/secret") == " 000 403")
        }
        #expect(server.requests.isEmpty)
    }

    @Test func `The proxy serves no request without its password`() throws {
        let server = try server()
        let proxy = try AddressGuardProxy(policy: .any, in: JailNetwork(listens: true, isIsolated: false))
        defer {
            server.stop()
            proxy.stop()
        }
        let address = try #require(proxy.environment["http_proxy"])
        let open = try #require(address.split(separator: "@").last.map { "http://\($0)" })
        #expect(try curl(proxy, server.url("/"), proxyURL: open) == " 407 000")
        #expect(try curl(proxy, server.url("/"), proxyURL: "http://tgpipe:wrong@" + open.dropFirst(7)) == " 407 000")
        #expect(server.requests.isEmpty)
    }

    @Test func `The proxy forwards allowed requests without its own password`() throws {
        let server = try server()
        let proxy = try AddressGuardProxy(policy: .any, in: JailNetwork(listens: true, isIsolated: false))
        defer {
            server.stop()
            proxy.stop()
        }
        #expect(try curl(proxy, server.url("/a?b=c")) == "GET /a?b=c - 200 000")
        #expect(try curl(proxy, server.url("/a"), "--proxytunnel") == "GET /a - 200 200")
        #expect(try curl(proxy, server.url("/a"), "-d", "x=1") == "POST /a - 200 000")
    }

    @Test func `The proxy connects through the proxy of a site, and tells it no forbidden address`() throws {
        let server = try server()
        let upstream = try AddressGuardProxy(policy: .any, in: JailNetwork(listens: true, isIsolated: false))
        let address = try #require(upstream.environment["http_proxy"])
        let way = try #require(ServerProxy(address))
        let proxy = try AddressGuardProxy(
            policy: .any, in: JailNetwork(listens: true, isIsolated: false), through: way)
        let strict = try AddressGuardProxy(
            policy: .publicOnly, in: JailNetwork(listens: true, isIsolated: false), through: way)
        defer {
            server.stop()
            for each in [strict, proxy, upstream] { each.stop() }
        }
        #expect(try curl(proxy, server.url("/x")) == "GET /x - 200 000")
        #expect(try curl(proxy, server.url("/x"), "-p") == "GET /x - 200 200")
        for host in ["127.0.0.1", "localhost", "[::1]", "10.0.0.1"] {
            #expect(try curl(strict, "http://\(host):\(server.port)/secret") == " 403 000")
        }
        #expect(server.requests.count == 2)
        upstream.stop()
        #expect(try curl(proxy, server.url("/x")) == " 502 000")
    }

    @Test func `A proxy of SOCKS gets its name and password`() throws {
        let server = try server()
        let relay = try PythonServer(script: "socks.py", [])
        defer { server.stop() }
        for (user, status) in [("someone:let-me-out", "GET /x - 200 000"), ("someone:wrong", " 502 000")] {
            let way = try #require(ServerProxy(relay.url.replacing("socks5://", with: "socks5h://\(user)@")))
            #expect(way.description == relay.url.replacing("socks5://", with: "socks5h://"))
            let proxy = try AddressGuardProxy(
                policy: .any, in: JailNetwork(listens: true, isIsolated: false), through: way)
            defer { proxy.stop() }
            #expect(try curl(proxy, server.url("/x")) == status)
        }
    }

    @Test func `The proxy forwards large responses completely`() throws {
        let server = try LoopbackServer { $1.respond(body: [UInt8](repeating: 65, count: 20_000_000)) }
        let proxy = try AddressGuardProxy(policy: .any, in: JailNetwork(listens: true, isIsolated: false))
        defer {
            server.stop()
            proxy.stop()
        }
        let folder = try TemporaryFolder()
        #expect(try curl(proxy, server.url("/"), "--proxytunnel", "-o", folder("out")) == " 200 200")
        var info = stat()
        #expect(stat(folder("out"), &info) == 0 && info.st_size == 20_000_000)
    }

    @Test func `The proxy answers an unreachable host with 502 and a malformed request with 400`() throws {
        let proxy = try AddressGuardProxy(policy: .any, in: JailNetwork(listens: true, isIsolated: false))
        defer { proxy.stop() }
        #expect(try curl(proxy, "http://no-such-host.invalid/") == " 502 000")
        #expect(try curl(proxy, "http://127.0.0.1:1/") == " 502 000")
        #expect(try curl(proxy, "http://127.0.0.1:1/", "--request-target", "ftp://h/x") == " 400 000")
    }

    @Test func `A name with many addresses that do not answer holds the proxy for 30 seconds, not for each address`()
        throws
    {
        let address = try #require(IPAddress("198.51.100.7"))
        let endpoints = Array(
            repeating: GuardedConnection.Endpoint(ip: address, family: AF_INET, socketAddress: []), count: 500)
        let start = ContinuousClock.now
        var now = start
        var limits: [Duration] = []
        let outcome = GuardedConnection.open(
            endpoints, .any, now: { now },
            connect: { _, limit throws(SystemError) in
                limits.append(limit)
                // Each one keeps silent until 4 seconds, or its shorter limit, have passed.
                now += min(limit, .seconds(4))
                throw SystemError(ETIMEDOUT)
            })
        guard case .unreachable = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(limits == [10, 10, 10, 10, 10, 10, 6, 2].map { Duration.seconds($0) })
        #expect(now - start == .seconds(30))
    }

    @Test func `A name's next address is tried when one does not answer, and forbidden ones never`() throws {
        let addresses = try ["127.0.0.1", "8.8.8.8", "10.0.0.1", "8.8.4.4", "1.1.1.1"].map {
            try #require(IPAddress($0))
        }
        var tried: [IPAddress] = []
        let outcome = GuardedConnection.open(
            addresses.map { GuardedConnection.Endpoint(ip: $0, family: AF_INET, socketAddress: []) }, .publicOnly,
            connect: { endpoint, _ throws(SystemError) in
                tried.append(endpoint.ip)
                guard tried.count > 1 else { throw SystemError(ECONNREFUSED) }
                return 77
            })
        guard case .open(77) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(tried == [addresses[1], addresses[3]])
    }

    @Test func `The proxy cannot be bypassed by ffmpeg`() async throws {
        let clips = try Clips.shared.get()
        let site = try WebSite(root: clips.folder.path)
        let guarding = try AddressGuardProxy(policy: .publicOnly, in: JailNetwork(listens: true, isIsolated: false))
        let open = try AddressGuardProxy(policy: .any, in: JailNetwork(listens: true, isIsolated: false))
        defer {
            guarding.stop()
            open.stop()
        }
        func reads(_ environment: [String: String], _ path: String) async throws -> Bool {
            let command = Command(
                "ffprobe", ["-v", "error", "-i", site.url + path],
                environment: HelperEnvironment.variables(home: "/").merging(environment) { $1 }, directory: "/")
            return try await ChildRun(command, timeout: .seconds(60)).runHelper().isSuccess
        }
        for path in ["/clip.mp4", "/hls.m3u8"] {
            #expect(try await reads(open.environment, path))
            #expect(try await !reads(guarding.environment, path))
            #expect(try await !reads(open.environment.mapValues { $0.replacing("tgpipe:", with: "tgpipe:x") }, path))
        }
    }
}
