import Crypto
import Glibc
import HTTP
import Payloads
import Stage
import Synchronization
import System
import TestSupport
import Testing

@testable import Media

/// Counts the answers of a server.
final class Answers: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}

@Suite struct DirectDownloadTests {
    let root: TemporaryFolder
    let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ $0 >> 9) }

    init() throws { root = try TemporaryFolder() }

    func folder() throws -> JobFolder {
        try #require(try JobFolder.tryToOpen(root: root.path, hash: String(repeating: "a", count: 64)))
    }

    func download(_ url: String, _ folder: JobFolder) -> DirectDownload {
        DirectDownload(
            url: url, folder: folder, addressPolicy: .any, maxBytes: 10_000_000, deadline: .now + .seconds(30),
            stallTimeout: .seconds(10), firstBackoff: .milliseconds(5))
    }

    func file(_ outcome: DirectDownload.Outcome) throws -> DownloadedFile {
        let file: DownloadedFile? = if case .file(let file) = outcome { file } else { nil }
        return try #require(file)
    }

    func bytes(_ file: DownloadedFile) -> [UInt8]? { SmallFile.readBytes(file.path, maxBytes: 10_000_000) }

    func expectWhole(_ file: DownloadedFile) {
        #expect(bytes(file) == content)
        #expect(file.sha256 == SHA256.hexDigest(content))
        #expect(file.sizeBytes == 300_000)
    }

    @Test func `A download returns the file, its hash, type and name, and reports progress`() async throws {
        let site = try FileSite(content)
        let progress = Mutex<[MediaProgress]>([])
        let folder = try folder()
        let outcome = try await download(site.server.url("/a%20clip.mp4?x=1"), folder).run { report in
            progress.withLock { $0.append(report) }
        }
        let file = try file(outcome)
        expectWhole(file)
        #expect(file.contentType == "video/mp4")
        #expect(file.fileName == "a clip.mp4")
        #expect(progress.withLock { $0.last?.totalBytes } == 300_000)
    }

    @Test func `A download resumes within one call when the connection breaks`() async throws {
        let site = try FileSite(content) { $0.breaks = [100_000, 50_000, 0, 20_000] }
        let outcome = try await download(site.server.url("/v.mp4"), try folder()).run { _ in }
        expectWhole(try file(outcome))
        #expect(site.server.requests.map(\.rangeStart) == [nil, 100_000, 150_000, 150_000, 170_000])
    }

    @Test func `A download resumes where an earlier call ended`() async throws {
        let site = try FileSite(content) { $0.breaks = [100_000, 0] }
        var first = download(site.server.url("/v.mp4"), try folder())
        first.fruitlessAttempts = 1
        let error = await #expect(throws: MediaError.self) { try await first.run { _ in } }
        #expect(error?.code == .truncated)
        #expect(error?.isTransient == true)
        let outcome = try await download(site.server.url("/v.mp4"), first.folder).run { _ in }
        expectWhole(try file(outcome))
        #expect(site.server.requests.last?.rangeStart == 100_000)
    }

    @Test(arguments: [("100000", 100_000), ("4096", 4096)])
    func `After a machine crash a download trusts only the bytes that were on the disk`(durable: String, start: Int)
        async throws
    {
        let site = try FileSite(content) { $0.breaks = [100_000] }
        var first = download(site.server.url("/v.mp4"), try folder())
        first.fruitlessAttempts = 0
        _ = try? await first.run { _ in }
        let note = first.folder.file("part.json")
        let text = try #require(SmallFile.readText(note))
        let boot = try #require(text.firstRange(of: "\"boot\":\""))
        let changed = text.replacing("\"durable\":100000", with: "\"durable\":\(durable)")
        try SmallFile.write(Array((changed[..<boot.upperBound] + "x" + changed[boot.upperBound...]).utf8), to: note)
        let outcome = try await download(site.server.url("/v.mp4"), first.folder).run { _ in }
        expectWhole(try file(outcome))
        #expect(site.server.requests.last?.rangeStart == start)
    }

    @Test func `A download that is complete only checks that the file is unchanged`() async throws {
        let site = try FileSite(content)
        let folder = try folder()
        _ = try await download(site.server.url("/v.mp4"), folder).run { _ in }
        let outcome = try await download(site.server.url("/v.mp4"), folder).run { _ in }
        expectWhole(try file(outcome))
        #expect(site.server.requests.last?.rangeStart == 300_000)
    }

    @Test func `A download restarts when the file has changed`() async throws {
        let site = try FileSite([UInt8](repeating: 7, count: 250_000)) { $0.breaks = [100_000] }
        var first = download(site.server.url("/v.mp4"), try folder())
        first.fruitlessAttempts = 0
        _ = try? await first.run { _ in }
        let content = content
        site.change { manners in
            manners.content = content
            manners.etag = "\"v2\""
        }
        let outcome = try await download(site.server.url("/v.mp4"), first.folder).run { _ in }
        expectWhole(try file(outcome))
    }

    @Test func `A download restarts when another link led to the same address`() async throws {
        let site = try FileSite(content) { $0.breaks = [100_000] }
        var first = download(site.server.url("/v.mp4"), try folder())
        first.fruitlessAttempts = 0
        _ = try? await first.run { _ in }
        let outcome = try await download(site.server.url("/v.mp4?utm_source=x"), first.folder).run { _ in }
        expectWhole(try file(outcome))
        #expect(site.server.requests.last?.rangeStart == nil)
    }

    @Test(arguments: ["W/\"weak\"", "\"strong\""])
    func `A download restarts when the server cannot resume`(etag: String) async throws {
        let site = try FileSite(content) { manners in
            manners.breaks = [100_000]
            manners.acceptsRanges = false
            manners.etag = etag
        }
        let outcome = try await download(site.server.url("/v.mp4"), try folder()).run { _ in }
        expectWhole(try file(outcome))
    }

    @Test(arguments: [("\"strong\"", true), ("W/\"weak\"", false)])
    func `A partial file is kept only when the download can resume from it`(etag: String, isKept: Bool) async throws {
        let site = try FileSite(content) { manners in
            manners.breaks = Array(repeating: 1000, count: 50)
            manners.etag = etag
        }
        var download = download(site.server.url("/v.mp4"), try folder())
        download.fruitlessAttempts = 0
        await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect((access(download.folder.file("data.part"), F_OK) == 0) == isKept)
    }

    @Test func `A download gives up when no new bytes arrive`() async throws {
        let site = try FileSite(content) { $0.breaks = [1000] + Array(repeating: 0, count: 50) }
        let download = download(site.server.url("/v.mp4"), try folder())
        let error = await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect(error?.code == .truncated)
        #expect(site.server.requests.count == 6)
    }

    @Test(arguments: ["W/\"weak\"", "\"strong\""])
    func `A download gives up on a server where every attempt restarts`(etag: String) async throws {
        let site = try FileSite(content) { manners in
            manners.breaks = Array(repeating: 1000, count: 50)
            manners.acceptsRanges = false
            manners.etag = etag
        }
        let download = download(site.server.url("/v.mp4"), try folder())
        let error = await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect(error?.code == .truncated)
        #expect(site.server.requests.count == 6)
    }

    @Test(arguments: [
        ("\"v2\"", "bytes 100000-299999/300000"), ("\"v1\"", "bytes 100000-299999/-9223372036854775808"),
        ("\"v1\"", "bytes 100000-299999/7"), ("\"v1\"", "bytes -100000-299999/300000"),
    ])
    func `A download never joins two versions and refuses impossible sizes`(etag: String, range: String) async throws {
        let content = content
        let server = try LoopbackServer { request, connection in
            let headers = [("Content-Type", "video/mp4"), ("ETag", request.rangeStart == nil ? "\"v1\"" : etag)]
            if request.rangeStart != nil {
                let tail = [("Content-Range", range), ("Content-Length", "200000")]
                connection.send(head: 206, headers + tail)
                connection.send([UInt8](repeating: 9, count: 200_000))
            } else if request.connection == 1 {
                connection.send(head: 200, headers + [("Connection", "close"), ("Transfer-Encoding", "chunked")])
                connection.send(Array("186a0\r\n".utf8) + content.prefix(100_000))
                connection.close()
            } else {
                connection.send(head: 200, headers + [("Content-Length", "300000")])
                connection.send(content)
            }
        }
        defer { server.stop() }
        expectWhole(try file(try await download(server.url("/v.mp4"), try folder()).run { _ in }))
    }

    @Test(arguments: [true, false])
    func `A download that is too large ends at the head or on the way and leaves no file`(isAnnounced: Bool)
        async throws
    {
        let server = try LoopbackServer { _, connection in
            let length = isAnnounced ? [("Content-Length", "10000001")] : [("Connection", "close")]
            connection.send(head: 200, [("Content-Type", "video/mp4"), ("ETag", "\"x\"")] + length)
            for _ in 0..<11 { connection.send([UInt8](repeating: 0, count: 1_000_000)) }
            connection.close()
        }
        defer { server.stop() }
        let download = download(server.url("/v.mp4"), try folder())
        let error = await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect(error?.code == .tooLarge)
        #expect(error?.reason.hasSuffix("at most 10.0 MB can be fetched.") == true)
        #expect(folderEntries(download.folder.path) == ["lock"])
        #expect(server.requests.count == 1)
    }

    @Test func `A download from a silent server times out`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.send(head: 200, [("Content-Type", "video/mp4"), ("ETag", "\"x\""), ("Content-Length", "100")])
            connection.send([1, 2, 3])
            connection.waitForHangUp()
        }
        defer { server.stop() }
        var download = download(server.url("/v.mp4"), try folder())
        download.stallTimeout = .milliseconds(100)
        download.fruitlessAttempts = 1
        let error = await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect(error?.code == .timedOut)
    }

    /// Starts a server that sends 40 bytes a second.
    private func slowServer() throws -> LoopbackServer {
        try LoopbackServer { _, connection in
            connection.send(head: 200, [("Content-Type", "video/mp4"), ("ETag", "\"x\""), ("Content-Length", "99999")])
            for _ in 0..<400 {
                connection.send([1])
                usleep(25_000)
            }
        }
    }

    @Test func `A download from a server that is too slow times out`() async throws {
        let server = try slowServer()
        defer { server.stop() }
        var download = download(server.url("/v.mp4"), try folder())
        download.minimumRate = .init(bytesPerSecond: 10_000, over: .milliseconds(200))
        download.fruitlessAttempts = 1
        let error = await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect(error?.code == .timedOut)
    }

    @Test func `A download from a server that is too slow is not tried again at once, and keeps what arrived`()
        async throws
    {
        let server = try slowServer()
        defer { server.stop() }
        let folder = try folder()
        var download = download(server.url("/v.mp4"), folder)
        download.minimumRate = .init(bytesPerSecond: 10_000, over: .milliseconds(200))
        let error = await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect(error?.code == .timedOut && error?.isTransient == true)
        #expect(server.requests.count == 1)
        #expect(!folder.isEmpty)
    }

    @Test(arguments: [429, 503])
    func `A download waits as long as Retry-After demands, in seconds or until a date`(status: Int) async throws {
        let shared = Answers()
        let server = try LoopbackServer { _, connection in
            guard shared.next() > 1 else { return connection.respond(status, [("Retry-After", "1")], text: "") }
            connection.respond(200, [("Content-Type", "video/mp4")], body: [1, 2, 3])
        }
        defer { server.stop() }
        let start = ContinuousClock.now
        _ = try file(try await download(server.url("/v.mp4"), try folder()).run { _ in })
        #expect(ContinuousClock.now - start >= .seconds(1))
        #expect(server.requests.count == 2)
    }

    @Test func `A long Retry-After is reported instead of waited for`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.respond(429, [("Retry-After", "3600")], text: "")
        }
        defer { server.stop() }
        let error = await #expect(throws: MediaError.self) {
            try await download(server.url("/v.mp4"), try folder()).run { _ in }
        }
        #expect(error?.code == .rateLimited)
        #expect(error?.retryAfter == .seconds(3600))
        #expect(server.requests.count == 1)
    }

    @Test(arguments: [
        ("text/html; charset=utf-8", "/watch"), ("application/xhtml+xml", "/x"),
        ("application/vnd.apple.mpegurl", "/x"),
        ("application/x-mpegURL", "/x"), ("application/dash+xml", "/x"), ("text/plain", "/live.m3u8"),
        ("application/octet-stream", "/x.mpd?token=1"),
    ])
    func `A page or a manifest is left to the extractor without downloading its body`(type: String, path: String)
        async throws
    {
        let server = try LoopbackServer { _, connection in
            connection.send(head: 200, [("Content-Type", type), ("Content-Length", "1000000")])
            connection.waitForHangUp()
        }
        defer { server.stop() }
        let folder = try folder()
        guard case .needsExtractor = try await download(server.url(path), folder).run(onProgress: { _ in }) else {
            Issue.record("taken as a file")
            return
        }
        #expect(folderEntries(folder.path) == ["lock"])
    }

    @Test(arguments: [
        (404, MediaError.Code.notFound), (403, .forbidden), (500, .serverError), (429, .rateLimited),
        (451, .geoBlocked),
    ])
    func `A missing file is an error and a missing page is left to the extractor`(status: Int, code: MediaError.Code)
        async throws
    {
        let server = try LoopbackServer { $1.respond(status, [("Content-Type", "text/html")], text: "sorry") }
        defer { server.stop() }
        let folder = try folder()
        var file = download(server.url("/v.mp4"), folder)
        file.fruitlessAttempts = 2
        let error = await #expect(throws: MediaError.self) { try await file.run { _ in } }
        #expect(error?.code == code)
        guard case .needsExtractor = try await download(server.url("/watch"), folder).run(onProgress: { _ in }) else {
            Issue.record("taken as a file")
            return
        }
    }

    @Test func `A download cannot reach this machine by link or redirect`() async throws {
        let server = try LoopbackServer { $1.respond(text: "secret") }
        defer { server.stop() }
        let folder = try folder()
        for url in [
            server.url("/v.mp4"), "http://localhost:\(server.port)/v.mp4",
            "http://[::ffff:127.0.0.1]:\(server.port)/v.mp4",
        ] {
            var download = download(url, folder)
            download.addressPolicy = .publicOnly
            let error = await #expect(throws: MediaError.self) { try await download.run { _ in } }
            #expect(error?.code == .refusedAddress)
        }
        #expect(server.requests.isEmpty)
    }

    @Test func `A full disk is reported and the partial file is removed`() async throws {
        let site = try FileSite(content)
        let full = try #require(try JobFolder.tryToOpen(root: root.path, hash: "full"))
        // Every write to it fails as on a full disk.
        symlink("/dev/full", full.file("data.part"))
        let download = download(site.server.url("/v.mp4"), full)
        let refused = await #expect(throws: MediaError.self) { try await download.run { _ in } }
        #expect(refused?.code == .localIO)
        #expect(MediaError.local("write the download", ENOSPC).reason == "There is no space left on my disk.")
    }

    @Test func `A cancelled download ends at once and can be resumed`() async throws {
        let server = try LoopbackServer { _, connection in
            connection.send(head: 200, [("Content-Type", "video/mp4"), ("ETag", "\"x\""), ("Content-Length", "100")])
            connection.send([1, 2, 3])
            connection.waitForHangUp()
        }
        defer { server.stop() }
        let download = download(server.url("/v.mp4"), try folder())
        let received = Atomic<Int64>(0)
        let task = Task {
            try await download.run { report in received.store(report.doneBytes ?? 0, ordering: .relaxed) }
        }
        _ = try await eventually { received.load(ordering: .relaxed) == 3 }
        task.cancel()
        let error = await #expect(throws: MediaError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(SmallFile.readBytes(download.folder.file("data.part"), maxBytes: 100) == [1, 2, 3])
    }

    @Test func `A download keeps no URL on disk because it may contain a token`() async throws {
        let site = try FileSite(content)
        let folder = try folder()
        _ = try await download(site.server.url("/bot123:TOKEN/v.mp4"), folder).run { _ in }
        let note = try #require(SmallFile.readBytes(folder.file("part.json"), maxBytes: 10_000))
        #expect(!String(decoding: note, as: UTF8.self).contains("TOKEN"))
    }
}
