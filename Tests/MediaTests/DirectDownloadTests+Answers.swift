import Glibc
import Payloads
import TestSupport
import Testing

@testable import Media

/// Checks what is made of odd answers.
extension DirectDownloadTests {
    private func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
        try SmallFile.write(bytes, to: root("plain"))
        #expect(try SpawnedProgram(["sh", "-c", "gzip -c \(root("plain")) > \(root("packed"))"]).wait() == 0)
        return try #require(SmallFile.readBytes(root("packed"), maxBytes: 10_000_000))
    }

    @Test(arguments: ["gzip", "identity"], [true, false])
    func `A file is the same whether the server encodes it, or only says so`(encoding: String, isTrue: Bool)
        async throws
    {
        let content = content
        let body = encoding == "gzip" && isTrue ? try gzipped(content) : content
        let server = try LoopbackServer { request, connection in
            connection.respond(
                200, [("Content-Type", "video/mp4"), ("Content-Encoding", encoding), ("ETag", "\"1\"")], body: body)
        }
        defer { server.stop() }
        expectWhole(try file(try await download(server.url("/v.mp4"), try folder()).run { _ in }))
        #expect(server.requests.first?.header("accept-encoding") == "identity")
    }

    @Test func `An encoded answer that breaks off is not resumed`() async throws {
        let packed = try gzipped(content)
        let answers = Answers()
        let server = try LoopbackServer { _, connection in
            connection.send(
                head: 200,
                [
                    ("Content-Type", "video/mp4"), ("Content-Encoding", "gzip"), ("ETag", "\"1\""),
                    ("Content-Length", "\(packed.count)"),
                ])
            let isFirst = answers.next() == 1
            connection.send(isFirst ? Array(packed.prefix(packed.count / 2)) : packed)
            if isFirst { connection.close() }
        }
        defer { server.stop() }
        expectWhole(try file(try await download(server.url("/v.mp4"), try folder()).run { _ in }))
        #expect(server.requests.map(\.rangeStart) == [nil, nil])
    }

    @Test func `An encoding that nobody can read is an error`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.respond(200, [("Content-Type", "video/mp4"), ("Content-Encoding", "rot13")], body: [1, 2, 3])
        }
        defer { server.stop() }
        let error = await #expect(throws: MediaError.self) {
            try await download(server.url("/v.mp4"), try folder()).run { _ in }
        }
        #expect(error?.code == .unsupported)
    }

    @Test(arguments: [(204, "video/mp4"), (204, "text/html"), (205, ""), (200, "text/html")])
    func `An answer without content is told as that`(status: Int, type: String) async throws {
        let server = try LoopbackServer { _, connection in
            connection.respond(status, type.isEmpty ? [] : [("Content-Type", type)])
        }
        defer { server.stop() }
        let error = await #expect(throws: MediaError.self) {
            try await download(server.url("/watch"), try folder()).run { _ in }
        }
        #expect(error?.code == .noMedia, "\(error?.reason ?? "")")
        #expect(server.requests.count == 1)
    }

    @Test func `A file of unknown length that breaks off is known by its boxes, and fetched again`() async throws {
        let movie = try #require(SmallFile.readBytes(Clips.shared.get().mp4, maxBytes: 1 << 24))
        let answers = Answers()
        let server = try LoopbackServer { _, connection in
            connection.send(head: 200, [("Content-Type", "video/mp4"), ("Connection", "close")])
            connection.send(answers.next() == 1 ? Array(movie.dropLast(1000)) : movie)
            connection.close()
        }
        defer { server.stop() }
        let file = try file(try await download(server.url("/v.mp4"), try folder()).run { _ in })
        #expect(bytes(file) == movie)
        #expect(server.requests.count == 2)
    }

    @Test func `A name in the link that is not UTF-8 is Latin-1`() async throws {
        let site = try FileSite(content)
        let outcome = try await download(site.server.url("/caf%E9.mp4"), try folder()).run { _ in }
        #expect(try file(outcome).fileName == "café.mp4")
    }
}
