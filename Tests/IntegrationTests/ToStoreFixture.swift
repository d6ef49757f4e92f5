import Blob
import Crypto
import Envelope
import Foundation
import Glibc
import JSON
import Synchronization
import TestSupport

@testable import Blob

/// A web site of one file, which a test can hold up, break off and describe wrongly.
final class LargeFileSite: Sendable {
    struct Manners {
        var content: [UInt8]
        var type = "application/octet-stream"
        /// The size that the site names; nil for an answer in chunks.
        var namedSize: Int?
        /// The bytes after which an answer waits until `release`.
        var holdsAfter: Int?
        /// The bytes of the file after which the first answer breaks off.
        var breaksAfter: Int?
        /// Is true if the rest of the file can be asked for.
        var hasRanges = true
    }

    private let manners: Mutex<Manners>
    private let isReleased = Atomic(false)
    private let box = Mutex<LoopbackServer?>(nil)

    init(_ content: [UInt8], _ adjust: (inout Manners) -> Void = { _ in }) throws {
        var first = Manners(content: content, namedSize: content.count)
        adjust(&first)
        manners = Mutex(first)
        let server = try LoopbackServer { [weak self] request, connection in self?.answer(request, connection) }
        box.withLock { $0 = server }
    }

    deinit { box.withLock { $0?.stop() } }

    func url(_ path: String = "/large.bin") -> String { box.withLock { $0?.url(path) ?? "" } }

    var requests: [LoopbackRequest] { box.withLock { $0?.requests ?? [] } }

    func release() { isReleased.store(true, ordering: .releasing) }

    func change(_ adjust: @Sendable (inout Manners) -> Void) { manners.withLock { adjust(&$0) } }

    private func answer(_ request: LoopbackRequest, _ connection: LoopbackConnection) {
        let now = manners.withLock { manners in
            defer { manners.breaksAfter = nil }
            return manners
        }
        var headers = [("Content-Type", now.type)]
        if now.hasRanges { headers.append(("ETag", "\"one\"")) }
        let start = now.hasRanges && request.header("if-range") == "\"one\"" ? request.rangeStart ?? 0 : 0
        if start > 0, let size = now.namedSize {
            headers.append(("Content-Range", "bytes \(start)-\(size - 1)/\(size)"))
        }
        headers.append(now.namedSize.map { ("Content-Length", "\($0 - start)") } ?? ("Transfer-Encoding", "chunked"))
        connection.send(head: start > 0 ? 206 : 200, headers)
        var position = start
        while position < now.content.count {
            if let hold = now.holdsAfter, position >= hold {
                while !isReleased.load(ordering: .acquiring) { usleep(10_000) }
            }
            if let end = now.breaksAfter, position >= end { return connection.close() }
            let piece = Array(now.content[position..<min(position + 1 << 16, now.content.count)])
            connection.send(now.namedSize == nil ? chunk(piece) : piece)
            position += piece.count
        }
        if now.namedSize == nil { connection.send(chunk([])) }
        if let size = now.namedSize, size > now.content.count { connection.close() }
    }

    private func chunk(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [13, 10]
    }
}

/// A bucket of one test, which the tools and the test itself use.
struct TestBucket {
    private static let shared = Result { try S3Server() }

    let server: S3Server
    let name = "test-\(UInt64.random(in: 0...UInt64.max))"

    init() async throws {
        server = try Self.shared.get()
        try await client().createBucket()
    }

    var address: String { "s3://\(name)" }

    func client() throws -> S3Client {
        let environment = server.environment
        return S3Client(
            try S3Configuration(bucket: name, prefix: "", options: S3Options(), environment: { environment[$0] }))
    }

    var store: S3Store { get throws { S3Store(client: try client()) } }

    /// Returns the keys of all objects, and of all unfinished uploads.
    func contents() async throws -> (objects: [String], uploads: [String]) {
        func keys(_ query: [(name: String, value: String)], _ element: String) async throws -> [String] {
            var call = S3Call("GET", key: nil)
            call.query = query
            return try await client().send(call).xml.elements(element).compactMap { $0.text("Key") }
        }
        return (try await keys([("list-type", "2")], "Contents"), try await keys([("uploads", "")], "Upload"))
    }

    /// Returns an object's bytes.
    func bytes(_ key: String, _ folder: TemporaryFolder) async throws -> [UInt8] {
        let path = folder("object-\(UInt32.random(in: 0...UInt32.max))")
        _ = try await store.get(key, to: path)
        defer { unlink(path) }
        return Array(try Data(contentsOf: URL(filePath: path)))
    }

    /// Waits until an upload has some pieces.
    ///
    /// - Returns: false if none got them.
    func waitForPieces() async throws -> Bool {
        let store = try store
        return try await eventuallyAsync {
            guard let upload = try await store.uploads?.contents().first(where: { $0.uploadID != nil }) else {
                return false
            }
            var call = S3Call("GET", key: UploadArea.folder + upload.name)
            call.query = [("uploadId", upload.uploadID ?? "")]
            return try await store.client.send(call).xml.elements("Part").count >= 2
        }
    }
}
