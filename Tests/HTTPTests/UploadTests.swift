import Glibc
import Synchronization
import TestSupport
import Testing

@testable import HTTP

@Suite struct UploadTests {
    private let client = HTTPClient()

    /// A file without a name that holds the bytes.
    private func file(_ bytes: [UInt8]) throws -> Int32 {
        var path = Array("/tmp/upload-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        try #require(descriptor >= 0)
        unlink(path)
        try #require(bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == bytes.count)
        return descriptor
    }

    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

    @Test func `An upload from a file sends only its range and reports progress`() async throws {
        let server = try LoopbackServer { $1.respond() }
        defer { server.stop() }
        let bytes = pattern(3_000_000)
        let descriptor = try file(bytes)
        defer { close(descriptor) }
        let progress = Mutex<[Int64]>([])
        var request = HTTPRequest("PUT", server.url("/"))
        request.body = .file(FileRange(descriptor: descriptor, offset: 1000, count: 2_500_000))
        request.onUpload = { sent in progress.withLock { $0.append(sent) } }
        _ = try await client.send(request)
        #expect(server.requests[0].body == Array(bytes[1000..<2_501_000]))
        #expect(server.requests[0].header("content-length") == "2500000")
        let steps = progress.withLock { $0 }
        #expect(steps.last == 2_500_000)
        #expect(steps == steps.sorted())
    }

    @Test func `An upload of a file that shrank is an error and stores no short object`() async throws {
        let server = try LoopbackServer { $1.respond() }
        defer { server.stop() }
        let descriptor = try file(pattern(1000))
        defer { close(descriptor) }
        var request = HTTPRequest("PUT", server.url("/"))
        request.body = .file(FileRange(descriptor: descriptor, offset: 0, count: 2000))
        let error = await #expect(throws: HTTPError.self) { try await client.send(request) }
        #expect(error?.code == .localIO)
        #expect(server.requests.isEmpty)
    }

    @Test func `A form upload holds its fields and files, and names cannot break out of it`() async throws {
        let server = try LoopbackServer { $1.respond() }
        defer { server.stop() }
        let content = pattern(100_000)
        let descriptor = try file(content)
        defer { close(descriptor) }
        var request = HTTPRequest("POST", server.url("/"))
        let range = FileRange(descriptor: descriptor, offset: 0, count: 100_000)
        request.body = .multipart([
            FormPart(name: "chat_id", text: "42"),
            FormPart(name: "video", fileName: "ü\"\r\nX: y.mp4", contentType: "video/mp4", value: .file(range)),
        ])
        _ = try await client.send(request)
        let type = try #require(server.requests[0].header("content-type"))
        let boundary = try #require(type.split(separator: "boundary=").last)
        let expected =
            Array("--\(boundary)\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n42\r\n".utf8)
            + Array("--\(boundary)\r\nContent-Disposition: form-data; name=\"video\"; ".utf8)
            + Array("filename=\"ü%22%0D%0AX: y.mp4\"\r\nContent-Type: video/mp4\r\n\r\n".utf8)
            + content + Array("\r\n--\(boundary)--\r\n".utf8)
        #expect(server.requests[0].body == expected)
    }

    @Test func `An upload that the server refuses early returns the server's response`() async throws {
        let server = try LoopbackServer { $1.respond(403, text: "no") }
        defer { server.stop() }
        let descriptor = try file(pattern(100))
        defer { close(descriptor) }
        var request = HTTPRequest("PUT", server.url("/"))
        request.body = .file(FileRange(descriptor: descriptor, offset: 0, count: 100))
        #expect(try await client.send(request).status == 403)
    }

    @Test func `An upload on a pooled connection that the server closed restarts from the beginning`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.respond()
            connection.close()
        }
        defer { server.stop() }
        let bytes = pattern(50_000)
        let descriptor = try file(bytes)
        defer { close(descriptor) }
        for _ in 0..<4 {
            var request = HTTPRequest("PUT", server.url("/"))
            request.body = .file(FileRange(descriptor: descriptor, offset: 0, count: 50_000))
            _ = try await client.send(request)
        }
        #expect(server.requests.map(\.body) == Array(repeating: bytes, count: 4))
    }
}
