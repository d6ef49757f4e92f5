import Glibc
import Redis
import TestSupport
import Testing

@Suite struct ForeignServerTests {
    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n\r\n", String(repeating: "*1\r\n", count: 50) + "?\r\n", "$-7\r\n",
        ":not a number\r\n",
        "\u{0}\u{1}\u{2}",
    ])
    func `A peer that does not speak Redis's protocol is a protocol error`(answer: String) async throws {
        let peer = try StrangePeer(answer: answer)
        let redis = Redis(RedisAddress(.unix(path: peer.path)), clientName: "test")
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .protocolError)
        #expect(error?.message.contains(peer.path) == true)
        #expect(error?.isTransient == false)
    }

    @Test func `A peer that disconnects in the middle of a reply is unreachable`() async throws {
        let peer = try StrangePeer(answer: "$100\r\nonly a part")
        let redis = Redis(RedisAddress(.unix(path: peer.path)), clientName: "test")
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .unreachable)
    }

    @Test func `A peer that never answers is given up at the deadline`() async throws {
        let peer = try StrangePeer(answer: nil)
        let redis = Redis(
            RedisAddress(.unix(path: peer.path)), clientName: "test", connectTimeout: .milliseconds(100))
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .unreachable)
    }
}

/// Listens on a Unix socket, sends every client the same bytes, and closes the connection.
private final class StrangePeer: Sendable {
    let path: String
    private let folder: TemporaryFolder
    private let listener: Int32

    /// - Parameter answer: nil to take connections and stay silent.
    init(answer: String?) throws {
        folder = try TemporaryFolder()
        path = folder("peer.sock")
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { [path] in $0.copyBytes(from: path.utf8) }
        let isListening = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 && listen(listener, 8) == 0
            }
        }
        try #require(isListening)
        if let answer { Self.serve(listener, answer) }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func serve(_ listener: Int32, _ answer: String) {
        final class Work: Sendable {
            let listener: Int32
            let answer: String
            init(_ listener: Int32, _ answer: String) { (self.listener, self.answer) = (listener, answer) }
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                var buffer = [UInt8](repeating: 0, count: 4096)
                while case let connection = accept(work.listener, nil, nil), connection >= 0 {
                    recv(connection, &buffer, buffer.count, 0)
                    send(connection, work.answer, work.answer.utf8.count, Int32(MSG_NOSIGNAL))
                    close(connection)
                }
                close(work.listener)
                return nil
            }, Unmanaged.passRetained(Work(listener, answer)).toOpaque())
        pthread_detach(thread)
    }
}
