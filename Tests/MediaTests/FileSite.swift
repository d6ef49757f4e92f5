@testable import Media
import Synchronization
import TestSupport

/// Serves one file, with ranges, and breaks answers off at given positions.
final class FileSite: Sendable {
    struct Manners {
        var content: [UInt8]
        var etag = "\"v1\""
        var type = "video/mp4"
        /// Lists, for each answer in turn, the bytes of the body after which it breaks off. Later answers are complete.
        var breaks: [Int] = []
        var acceptsRanges = true
    }

    /// Is shared with the server's threads.
    private final class Shared: Sendable {
        let manners: Mutex<Manners>

        init(_ manners: Manners) { self.manners = Mutex(manners) }
    }

    private let shared: Shared
    let server: LoopbackServer

    init(_ content: [UInt8], _ adjust: (inout Manners) -> Void = { _ in }) throws {
        var manners = Manners(content: content)
        adjust(&manners)
        let shared = Shared(manners)
        self.shared = shared
        server = try LoopbackServer { request, connection in
            let now = shared.manners.withLock { manners in
                defer { if !manners.breaks.isEmpty { manners.breaks.removeFirst() } }
                return manners
            }
            FileSite.answer(request, connection, now)
        }
    }

    deinit { server.stop() }

    func change(_ adjust: @Sendable (inout Manners) -> Void) {
        shared.manners.withLock { adjust(&$0) }
    }

    private static func answer(_ request: LoopbackRequest, _ connection: LoopbackConnection, _ manners: Manners) {
        let total = manners.content.count
        var headers = [("ETag", manners.etag), ("Content-Type", manners.type)]
        var start = 0
        if manners.acceptsRanges, let from = request.rangeStart, request.header("if-range") == manners.etag {
            guard from < total else {
                return connection.respond(416, [("Content-Range", "bytes */\(total)"), ("ETag", manners.etag)])
            }
            start = from
            headers.append(("Content-Range", "bytes \(from)-\(total - 1)/\(total)"))
        }
        connection.send(head: start > 0 ? 206 : 200, headers + [("Content-Length", "\(total - start)")])
        connection.send(Array(manners.content[start...].prefix(manners.breaks.first ?? total)))
        if manners.breaks.first != nil { connection.close() }
    }
}

extension SmallFile {
    /// Returns the text of a file of at most 1 MiB; nil when there is none.
    static func readText(_ path: String) -> String? {
        readBytes(path, maxBytes: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
    }
}
