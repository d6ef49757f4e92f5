import Glibc
import JSON
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import System

/// Answers GET requests of browsers on this machine. Each connection has one request.
final class PageServer: Sendable {
    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPPart<HTTPResponseHead, ByteBuffer>>

    /// The most connections at a time; further ones wait.
    private static let maxConnections = 32
    /// The time in which a request must be read and answered.
    private static let patience = Duration.seconds(20)

    private let pages: Pages
    private let address: PageAddress
    private let hosts: Set<String>
    private let log: Logger

    /// - Parameter hosts: further names of the server in the header Host.
    init(pages: Pages, address: PageAddress, hosts: [String], log: Logger) {
        (self.pages, self.address, self.log) = (pages, address, log)
        self.hosts = Set(hosts.map { $0.lowercased() }).union(["localhost", "127.0.0.1", "[::1]"])
    }

    /// Serves until the task is cancelled.
    ///
    /// - Throws: `ToolError` (74) if the address cannot be used.
    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let server = try await bind(group)
            log.info("serving pages", metadata: ["address": "\(url(server.channel.localAddress))"])
            ServiceManager.reportReady()
            try await server.executeThenClose { connections in
                try await withThrowingDiscardingTaskGroup { tasks in
                    let places = Places(PageServer.maxConnections)
                    for try await connection in connections {
                        await places.take()
                        tasks.addTask {
                            await self.serve(connection)
                            await places.giveBack()
                        }
                    }
                }
            }
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try? await group.shutdownGracefully()
    }

    /// Returns the address for people; port 0 becomes the port that was chosen.
    private func url(_ bound: SocketAddress?) -> String {
        guard case .loopback(let host, let port) = address else { return address.description }
        return "http://\(PageAddress.loopback(host: host, port: bound?.port ?? port))/"
    }

    private func bind(_ group: MultiThreadedEventLoopGroup) async throws -> NIOAsyncChannel<Connection, Never> {
        let bootstrap = ServerBootstrap(group: group).serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        @Sendable func prepare(_ channel: any Channel) -> EventLoopFuture<Connection> {
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                try channel.pipeline.syncOperations.addHandler(ResponseBodies())
                return try Connection(wrappingChannelSynchronously: channel)
            }
        }
        do {
            switch address {
            case .loopback(let host, let port):
                return try await bootstrap.bind(host: host, port: port, childChannelInitializer: prepare)
            case .unix(let path):
                try PageServer.removeAbandoned(path)
                // Other users of the machine must not connect.
                let mask = umask(0o177)
                defer { umask(mask) }
                return try await bootstrap.bind(unixDomainSocketPath: path, childChannelInitializer: prepare)
            }
        } catch let error as ToolError {
            throw error
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw ToolError(
                .tryAgain,
                "another process listens on \(address.description.printable): end it, or choose another port with --listen 127.0.0.1:PORT"
            )
        } catch {
            throw ToolError(.localIO, "unable to listen on \(address.description.printable): \(error)")
        }
    }

    /// Removes a socket on which nobody listens, as a killed server leaves it.
    private static func removeAbandoned(_ path: String) throws(ToolError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ToolError(.configuration, "\(path.printable) exists and is no socket")
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            for (index, byte) in path.utf8.prefix(place.count - 1).enumerated() { place[index] = byte }
        }
        let isUsed = withUnsafeBytes(of: &address) { bytes in
            bytes.baseAddress.map {
                connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count)) == 0
            } ?? false
        }
        guard !isUsed else { throw ToolError(.tryAgain, "another process listens on \(path.printable)") }
        unlink(path)
    }

    // MARK: Connections

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await Task.sleep(for: PageServer.patience)
                        throw CancellationError()
                    }
                    group.addTask {
                        var parts = inbound.makeAsyncIterator()
                        guard case .head(let head)? = try await parts.next() else { return }
                        try await self.answer(head, outbound)
                    }
                    defer { group.cancelAll() }
                    _ = try await group.next()
                }
            }
        } catch {
            // The browser has gone, or has sent something else than HTTP.
            log.debug("a connection ended early: \(error)")
        }
    }

    private func answer(
        _ head: HTTPRequestHead, _ outbound: NIOAsyncChannelOutboundWriter<HTTPPart<HTTPResponseHead, ByteBuffer>>
    ) async throws {
        let page = await page(for: head)
        var response = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: page.status))
        for (name, value) in PageServer.headers { response.headers.add(name: name, value: value) }
        if page.status == 405 { response.headers.add(name: "Allow", value: "GET") }
        response.headers.add(name: "Content-Type", value: page.contentType)
        response.headers.add(name: "Content-Length", value: "\(page.body.utf8.count)")
        try await outbound.write(.head(response))
        try await outbound.write(.body(ByteBuffer(string: page.body)))
        try await outbound.write(.end(nil))
    }

    /// Nothing may be loaded from elsewhere, nothing may run, and no other page may show this one in a frame.
    private static let headers = [
        (
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cache-Control", "no-store"), ("Connection", "close"),
    ]

    private func page(for head: HTTPRequestHead) async -> Page {
        guard isForThisServer(head) else { return .text("the header Host names another server\n", status: 421) }
        guard head.method == .GET else { return .text("only GET is answered\n", status: 405) }
        return await pages.page(for: head.uri)
    }

    /// Returns whether the header Host names this server. A foreign page whose name was rebound to this machine has another one.
    private func isForThisServer(_ head: HTTPRequestHead) -> Bool {
        let names = head.headers["host"]
        guard names.count == 1 else { return false }
        let name = names[0].lowercased()
        let end =
            name.hasPrefix("[") ? name.firstIndex(of: "]").map { name.index(after: $0) } : name.firstIndex(of: ":")
        let (host, port) = (name[..<(end ?? name.endIndex)], name[(end ?? name.endIndex)...])
        guard port.isEmpty || (port.first == ":" && UInt16(port.dropFirst()) != nil) else { return false }
        return hosts.contains(String(host))
    }
}

/// Gives response bodies the type that NIO's encoder takes, which tasks may not send.
private final class ResponseBodies: ChannelOutboundHandler {
    typealias OutboundIn = HTTPPart<HTTPResponseHead, ByteBuffer>
    typealias OutboundOut = HTTPServerResponsePart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part: HTTPServerResponsePart =
            switch unwrapOutboundIn(data) {
            case .head(let head): .head(head)
            case .body(let bytes): .body(.byteBuffer(bytes))
            case .end(let trailers): .end(trailers)
            }
        context.write(wrapOutboundOut(part), promise: promise)
    }
}

/// Limits how many tasks run at a time.
private actor Places {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func take() async {
        if free > 0 {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
