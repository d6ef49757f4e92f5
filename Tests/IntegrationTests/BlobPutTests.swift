import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct BlobPutTests {
    private static let shared = Result { (try S3Server(), try RedisServer()) }

    private let server: S3Server
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let bucket = "test-\(UInt64.random(in: 0...UInt64.max))"
    private let meta = #"{"origin":{"chat_id":1,"message_id":2},"role":"admin"}"#
    private let correlation = "0193b6a0-0000-7000-8000-0000000000aa"

    init() throws {
        (server, redis) = try Self.shared.get()
        folder = try TemporaryFolder()
    }

    private static let key = "video/\(String(repeating: "abc0", count: 16)).mp4"

    private var store: [String] { ["--store", "s3://\(bucket)", "--create-bucket"] }

    private func put(
        _ arguments: [String], input: String = "", environment: [String: String] = [:]
    ) async throws -> ToolRun.Result {
        let result = try await ToolRun.run(
            "blob-put", arguments, input: input,
            environment: server.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }.merging(environment) { $1 },
            folder: folder)
        #expect(!(result.output + result.errors).contains(S3Server.secretKey))
        #expect(!result.errors.contains("X-Amz"))
        return result
    }

    private func write(_ text: String, _ name: String = "clip.mp4") throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder(name)))
        return folder(name)
    }

    /// - Parameter sha256: of "hello", unless another is given.
    private func fetched(
        _ path: String, key: String = BlobPutTests.key,
        sha256: String = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    ) -> String {
        """
        {"id":"0193b6a0-0000-7000-8000-0000000000bb","type":"events.media.fetched","version":1,\
        "correlation_id":"\(correlation)","timestamp":"2026-11-21T20:00:00.000000Z","payload":{"kind":"video",\
        "key":"\(key)","path":"\(path)","size_bytes":5,"sha256":"\(sha256)","content_type":"video/mp4",\
        "file_name":"Кот.mp4","source_url":"https://example.com/?v=1","normalized_url":"https://example.com/?v=1",\
        "domain":"example.com","title":"Кот","duration_seconds":12.5,"fetched_at":"2026-11-21T20:00:00.000000Z"},\
        "meta":\(meta)}
        """
    }

    private func curl(_ url: String) throws -> String { try SpawnedProgram.output(of: ["curl", "-sS", url]) }

    @Test func `A fetched file is stored and reported as ready`() async throws {
        let result = try await put(store, input: fetched(write("hello")))
        #expect(result.status == 0)
        let ready = try #require(try result.envelopes().first)
        #expect(result.lines.count == 1)
        #expect(ready.type == "events.dl.video.ready")
        #expect(ready.correlationID.description == correlation)
        #expect(ready.causationID?.description == "0193b6a0-0000-7000-8000-0000000000bb")
        #expect(JSON.object(ready.meta) == (try JSON(parsing: meta)))
        #expect(ready.payload["store"] == .string("s3://\(bucket)"))
        #expect(ready.payload["title"] == "Кот")
        #expect(ready.payload["cached"] == nil)
        #expect(try curl(#require(ready.payload["url"]?.string)) == "hello")
        let expiry = try #require(ready.payload["url_expires_at"]?.string.flatMap { Timestamp($0) })
        #expect((23 * 3600...24 * 3600).contains(expiry.elapsed(since: .now).components.seconds))
        // The local copy is the cache's now.
        #expect(ready.payload["path"] == .string(folder("state/media/cache/\(BlobPutTests.key)")))
        #expect(try String(contentsOfFile: folder("state/media/cache/\(BlobPutTests.key)"), encoding: .utf8) == "hello")
        #expect(!FileManager.default.fileExists(atPath: folder("clip.mp4")))
    }

    @Test func `Other events are forwarded byte for byte`() async throws {
        let odd = #"{ "zzz":[1.50,1e3], "type" :"a.b" ,"correlation_id":"0191E0A0-0000-7000-8000-000000000000"}"#
        let ready = fetched("/x").replacingOccurrences(of: "events.media.fetched", with: "events.dl.video.ready")
        let result = try await put(store, input: odd + "\n" + ready + "\n")
        #expect(result.output == odd + "\n" + ready + "\n")
        #expect(result.status == 0)
    }

    @Test func `An object that exists is not stored again`() async throws {
        _ = try await put(store, input: fetched(write("hello")))
        let other = SHA256Sums.ofOther
        let result = try await put(store, input: fetched(write("other"), sha256: other))
        let ready = try #require(try result.envelopes().first)
        #expect(ready.type == "events.dl.video.ready")
        #expect(ready.payload["sha256"] != .string(other))
        #expect(try curl(#require(ready.payload["url"]?.string)) == "hello")
        // The bytes that were not stored are nobody's.
        #expect(ready.payload["path"] == .string(folder("state/media/cache/\(BlobPutTests.key)")))
        #expect(!FileManager.default.fileExists(atPath: folder("clip.mp4")))
    }

    @Test func `A failure is reported without server names and the stream continues`() async throws {
        let input = [fetched(try write("hello")), fetched(try write("x", "y"), key: "../etc/passwd")]
            .joined(separator: "\n")
        let result = try await put(store, input: input, environment: ["AWS_SECRET_ACCESS_KEY": "wrong"])
        #expect(result.status == 0)
        let events = try result.envelopes()
        #expect(Set(events.compactMap { $0.payload["code"]?.string }) == ["store_refused", "store_invalid"])
        for event in events {
            #expect(event.type == "events.dl.video.failed")
            #expect(event.correlationID.description == correlation)
            #expect(event.payload["temporary"] == false)
            #expect(event.payload["url"] == "https://example.com/?v=1")
            let reason = try #require(event.payload["reason"]?.string)
            #expect(!["127.0.0.1", bucket, "etc"].contains { reason.contains($0) })
        }
        #expect(result.errors.contains("its secret is wrong"))
        #expect(FileManager.default.fileExists(atPath: folder("clip.mp4")))
    }

    @Test func `A missing file is a failure unless the object is already stored`() async throws {
        let gone = try await put(store, input: fetched("/no/such/file"))
        #expect(try gone.envelopes().map { $0.payload["code"]?.string } == ["store_local_io"])
        let twice = try [String](repeating: fetched(write("hello")), count: 2).joined(separator: "\n")
        let events = try await put(store + ["--concurrency", "1"], input: twice).envelopes()
        #expect(events.map(\.type) == ["events.dl.video.ready", "events.dl.video.ready"])
        #expect(events.map { $0.payload["cached"] } == [nil, true])
        #expect(events[1].payload["path"] == events[0].payload["path"])
    }

    @Test func `A file that differs from the fetched one is not stored`() async throws {
        let result = try await put(store, input: fetched(write("hullo")))
        #expect(try result.envelopes().map { $0.payload["code"]?.string } == ["store_corrupt"])
    }

    @Test(arguments: [#""kind":"video","#, #""key":"\#(key)","#, #""path":"/x","#])
    func `An event without a file becomes a dead letter`(_ part: String) async throws {
        let line = fetched("/x").replacingOccurrences(of: part, with: "")
        let result = try await put(store + ["--dead-letter", folder("dead")], input: line)
        #expect(result.status == 65)
        #expect(result.output.isEmpty)
        #expect(try String(contentsOfFile: folder("dead"), encoding: .utf8).contains("invalid_payload"))
    }

    @Test func `A long upload reports its progress`() async throws {
        let wait = FaultyProxy.Fault.answer(503, headers: [("Retry-After", "2")])
        let proxy = try FaultyProxy(to: server.port, [.init("PUT", contains: "abc0.mp4", wait)])
        let result = try await put(
            store, input: fetched(write("hello")), environment: ["TGPIPE_S3_ENDPOINT": proxy.endpoint])
        let events = try result.envelopes()
        #expect(events.map(\.type) == ["events.media.progress", "events.dl.video.ready"])
        #expect(events[0].payload["state"] == "storing")
        #expect(events[0].payload["total_bytes"] == 5)
        #expect(events[0].correlationID.description == correlation)
    }

    @Test func `A folder can be the store`() async throws {
        let result = try await put(["--store", "file:\(folder("objects"))"], input: fetched(write("hello")))
        let ready = try #require(try result.envelopes().first)
        #expect(ready.payload["store"] == .string("file:\(folder("objects"))"))
        #expect(ready.payload["url"] == nil)
        #expect(try String(contentsOfFile: folder("objects/\(BlobPutTests.key)"), encoding: .utf8) == "hello")
    }

    @Test func `Without a configured store, objects go to a folder in the state folder`() async throws {
        let result = try await ToolRun.run(
            "blob-put", input: fetched(write("hello")), environment: ["TGPIPE_REDIS": redis.address], folder: folder)
        #expect(try result.envelopes().first?.payload["store"] == .string("file:\(folder("state/store"))"))
    }
}

private enum SHA256Sums {
    /// The SHA-256 of "other".
    static let ofOther = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"
}
