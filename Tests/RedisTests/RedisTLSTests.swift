import Glibc
import Redis
import System
import TestSupport
import Testing

@Suite struct RedisTLSTests {
    private let certificates: TestCertificates

    init() throws {
        certificates = try TestCertificates()
        // OpenSSL writes to sockets without the option that keeps a closed one from ending the process.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Starts a server that speaks TLS on the port that it returns.
    private func server(
        _ pair: TestCertificates.Pair, wantsClients: Bool = false, _ more: [String] = []
    ) throws -> (RedisServer, port: Int) {
        let port = try LoopbackListener.freePort()
        let server = try RedisServer(
            configuration: [
                "tls-port \(port)", "tls-cert-file \(pair.certificate)", "tls-key-file \(pair.key)",
                "tls-ca-cert-file \(certificates.authority)", "tls-auth-clients \(wantsClients ? "yes" : "no")",
            ] + more)
        return (server, port)
    }

    private func failure(_ address: String) async throws -> RedisError {
        let redis = Redis(try RedisAddress(parsing: address), clientName: "test", commandTimeout: .seconds(10))
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        return try #require(error)
    }

    @Test func `Commands and values larger than a record are transferred over TLS`() async throws {
        let pair = try certificates.sign("server", names: "DNS:localhost,IP:127.0.0.1")
        let (server, port) = try server(pair, ["requirepass word"])
        for host in ["localhost", "127.0.0.1"] {
            let redis = Redis(
                try RedisAddress(parsing: "rediss://:word@\(host):\(port)?cacert=\(certificates.authority)"),
                clientName: "test")
            let large = [UInt8](repeating: 7, count: 5_000_000)
            try await redis.send("SET", "large", .bytes(large))
            #expect(try await redis.send("GET", "large") == .bytes(large))
            var batch = CommandBatch()
            for number in 0..<20_000 { batch.append(["ECHO", .integer(Int64(number))]) }
            #expect(try await redis.pipeline(batch).map(\.int) == (0..<20_000).map { Int64($0) })
            await redis.close()
        }
        withExtendedLifetime(server) {}
    }

    @Test func `A connection that is lost is made again over TLS`() async throws {
        let pair = try certificates.sign("server", names: "DNS:localhost")
        let (server, port) = try server(pair)
        let redis = Redis(
            try RedisAddress(parsing: "rediss://localhost:\(port)?cacert=\(certificates.authority)"), clientName: "test"
        )
        try await redis.send("SET", "a", "1")
        server.kill()
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.isTransient == true)
        try server.start()
        try await withRetry(for: .seconds(20)) { () throws(RedisError) in _ = try await redis.send("PING") }
    }

    @Test func `An unknown authority, an expired certificate and another name are refused with advice`() async throws {
        let (good, port) = try server(try certificates.sign("server", names: "DNS:localhost"))
        let other = try TestCertificates()
        for (address, advice) in [
            ("rediss://localhost:\(port)", "cacert="),
            ("rediss://localhost:\(port)?cacert=\(other.authority)", "cacert="),
            ("rediss://127.0.0.1:\(port)?cacert=\(certificates.authority)", "servername="),
            ("rediss://localhost:\(port)?cacert=\(certificates.authority)&servername=other", "servername="),
        ] {
            let error = try await failure(address)
            #expect(error.code == .certificate && error.exitStatus == .configuration && !error.isTransient)
            #expect(error.message.contains(advice), "\(error.message)")
        }
        let named = Redis(
            try RedisAddress(
                parsing: "rediss://127.0.0.1:\(port)?cacert=\(certificates.authority)&servername=localhost"),
            clientName: "test")
        #expect(try await named.send("PING").string == "PONG")
        withExtendedLifetime(good) {}
        let expired = try certificates.sign("expired", names: "DNS:localhost", isExpired: true)
        let (old, oldPort) = try server(expired)
        let error = try await failure("rediss://localhost:\(oldPort)?cacert=\(certificates.authority)")
        #expect(error.code == .certificate && error.message.contains("renew it"), "\(error.message)")
        withExtendedLifetime(old) {}
    }

    @Test func `A server that wants certificates of its clients gets one`() async throws {
        let pair = try certificates.sign("server", names: "DNS:localhost")
        let (server, port) = try server(pair, wantsClients: true)
        let base = "rediss://localhost:\(port)?cacert=\(certificates.authority)"
        let own = try certificates.sign("client", names: "DNS:client")
        let redis = Redis(
            try RedisAddress(parsing: "\(base)&cert=\(own.certificate)&key=\(own.key)"), clientName: "test")
        #expect(try await redis.send("PING").string == "PONG")
        let others = try TestCertificates()
        let foreign = try others.sign("client", names: "DNS:client")
        for address in [base, "\(base)&cert=\(foreign.certificate)&key=\(foreign.key)"] {
            let error = try await failure(address)
            #expect(error.message.contains("cert=/path&key=/path"), "\(error.message)")
        }
        withExtendedLifetime((server, others)) {}
    }

    @Test func `Files that cannot be used and servers without TLS are named`() async throws {
        let server = try RedisServer(tcp: true)
        let port = try #require(server.port)
        let plain = try await failure("rediss://localhost:\(port)")
        #expect(plain.message.contains("write redis:// instead of rediss://"), "\(plain.message)")
        let missing = try await failure("rediss://localhost:\(port)?cacert=/none.pem")
        #expect(missing.code == .configuration && missing.message.contains("/none.pem"), "\(missing.message)")
        let pair = try certificates.sign("server", names: "DNS:localhost")
        let (secured, secret) = try self.server(pair)
        let swapped = try await failure("rediss://localhost:\(secret)?cert=\(pair.key)&key=\(pair.certificate)")
        #expect(swapped.code == .configuration && swapped.message.contains(pair.key), "\(swapped.message)")
        let unencrypted = try await failure("redis://localhost:\(secret)")
        #expect(unencrypted.message.contains("rediss://"), "\(unencrypted.message)")
        withExtendedLifetime(secured) {}
    }
}
