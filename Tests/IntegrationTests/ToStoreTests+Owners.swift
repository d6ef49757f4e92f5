import Blob
import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@testable import Blob

/// Processes that die, are stopped or lose their lease, and others that must not touch what is not theirs.
extension ToStoreTests {
    @Test func `An upload whose lease is over although its process lives goes on`() async throws {
        let site = try LargeFileSite(content) { $0.holdsAfter = 12 << 20 }
        let first = try start()
        first.send(Array(command(site.url()).line))
        #expect(try await bucket.waitForPieces())
        try endLeases()
        let other = try start(in: TemporaryFolder())
        #expect(try await eventually { try bookKeys("suspects").count == 1 }, "\(other.log)")
        // The owner clears itself of the suspicion.
        #expect(try await eventually { try bookKeys("suspects").isEmpty && bookKeys("owner:*").count == 1 })
        other.closeInput()
        #expect(try await other.result().status == 0)
        #expect(try await bucket.contents().uploads.count == 1)
        site.release()
        first.closeInput()
        let event = try #require(try await first.result().envelopes().last)
        try await expectWhole(event)
        #expect(site.requests.count == 1 && !first.log.contains("lost the upload"))
        try await expectOnly([key(event)])
    }

    @Test func `A link in a shell and the same link in a queue do not end each other's uploads`() async throws {
        let site = try LargeFileSite(content) { $0.holdsAfter = 12 << 20 }
        let shell = try start([site.url()], in: TemporaryFolder())
        #expect(try await bucket.waitForPieces())
        try await push([command(site.url())])
        let worker = try start(Self.queues)
        #expect(try await eventuallyAsync { try await bucket.contents().uploads.count == 2 }, "\(worker.log)")
        site.release()
        #expect(try await eventually { try results().count == 1 }, "\(worker.log.suffix(2000))")
        worker.signal(SIGTERM)
        #expect(try await worker.result().status == 0)
        shell.closeInput()
        let result = try await shell.result()
        #expect(result.status == 0 && result.lines.count == 1 && !shell.log.contains("lost the upload"))
        try await expectWhole(try results()[0])
        #expect(site.requests.count == 2)
        try await expectOnly([key(try results()[0])])
    }

    @Test func `A worker that is stopped while the object gets its key returns its event`() async throws {
        let site = try LargeFileSite(content)
        let proxy = try FaultyProxy(
            to: bucket.server.port, [.init("PUT", header: "x-amz-copy-source", times: .max, .hang)])
        try await push([command(site.url())])
        let first = try start(Self.queues + ["--drain", "1s"], endpoint: proxy.endpoint)
        #expect(try await eventually { proxy.requests.contains { $0.header("x-amz-copy-source") != nil } })
        first.signal(SIGTERM)
        _ = try await first.result()
        #expect(try results().isEmpty, "\(first.log.suffix(2000))")
        #expect(try redis.cli("KEYS", "*dead*").isEmpty)
        try await expectOnly([])
        let second = try start(Self.queues)
        #expect(try await eventually { try results().count == 1 }, "\(second.log.suffix(2000))")
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
        try await expectWhole(try results()[0])
        try await expectOnly([key(try results()[0])])
    }

    @Test func `A file of a worker that leaves it to blob-put is not handed on`() async throws {
        let site = try LargeFileSite(content)
        let other = try TemporaryFolder()
        let run = try ToolRun("media-fetch", ["--allow-private"], environment: environment(), folder: other)
        run.send(Array(command(site.url()).line))
        run.closeInput()
        #expect(try await run.result().envelopes().last?.type == "events.media.fetched")
        let event = try await fetch(site.url())
        try await expectWhole(event)
        #expect(site.requests.count == 2)
        try await expectOnly([key(event)])
    }

    @Test func `A worker that is killed while the object gets its key leaves nothing`() async throws {
        let site = try LargeFileSite(content)
        let proxy = try FaultyProxy(
            to: bucket.server.port, [.init("PUT", header: "x-amz-copy-source", times: .max, .hang)])
        try await push([command(site.url())])
        let first = try start(Self.queues, endpoint: proxy.endpoint)
        #expect(try await eventually { proxy.requests.contains { $0.header("x-amz-copy-source") != nil } })
        first.signal(SIGKILL)
        _ = try await first.result()
        let left = try await bucket.contents()
        #expect(left.objects.count == 1 && left.uploads.isEmpty && left.objects[0].hasPrefix(".tgpipe/uploads/"))
        proxy.stopFailing()
        let second = try start(Self.queues, endpoint: proxy.endpoint)
        #expect(try await eventually { try results().count == 1 }, "\(second.log.suffix(2000))")
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
        try await expectWhole(try results()[0])
        try await expectOnly([key(try results()[0])])
    }

    @Test func `A second worker on another machine takes over from a killed one, and no part is left`() async throws {
        let site = try LargeFileSite(content) { $0.holdsAfter = 12 << 20 }
        try await push([command(site.url())])
        let first = try start(Self.queues)
        #expect(try await bucket.waitForPieces())
        first.signal(SIGKILL)
        _ = try await first.result()
        #expect(try await bucket.contents().uploads.count == 1)
        site.release()
        let other = try TemporaryFolder()
        let second = try start(Self.queues, in: other)
        #expect(try await eventually { try results().count == 1 }, "\(second.log.suffix(2000))")
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
        try await expectWhole(try results()[0])
        try await expectOnly([key(try results()[0])])
        #expect(bytesOnDisk(other) < 10_000)
    }

    @Test func `The upload of a dead worker is removed although nobody asks again, and nothing of others is`()
        async throws
    {
        let store = try bucket.store
        // What another tool writes, some of it with keys that look like those of uploads.
        var uploads: [MultipartUpload] = []
        for key in ["other/film.mp4", ".tgpipe/uploads/NOT-OURS", ".tgpipe/uploads/deep/x-1"] {
            uploads.append(try await MultipartUpload.begin(key, headers: [], in: store))
        }
        for key in ["video/mine.mp4", ".tgpipe/uploads/0123456789abcdef0123456789abcdef-fresh", "backup/x"] {
            _ = try await store.client.send(S3Call("PUT", key: key))
        }
        let site = try LargeFileSite(content) { $0.holdsAfter = 12 << 20 }
        let first = try start()
        first.send(Array(command(site.url()).line))
        #expect(try await eventuallyAsync { try await bucket.contents().uploads.count == 4 })
        first.signal(SIGKILL)
        _ = try await first.result()
        site.release()
        try endLeases()
        let second = try start()
        #expect(try await eventually { try bookKeys("suspects").count == 1 }, "\(second.log)")
        // One look is not enough.
        #expect(try await bucket.contents().uploads.count == 4)
        let suspects = try bookKeys("suspects")[0]
        for name in try redis.cli("HKEYS", suspects).split(separator: "\n") {
            _ = try redis.cli("HSET", suspects, String(name), "1")
        }
        #expect(try await eventuallyAsync { try await bucket.contents().uploads.count == 3 }, "\(second.log)")
        #expect(try await eventually { try bookKeys("book").isEmpty && bookKeys("suspects").isEmpty })
        second.closeInput()
        #expect(try await second.result().status == 0)
        let contents = try await bucket.contents()
        #expect(Set(contents.uploads) == Set(uploads.map(\.key)))
        #expect(
            contents.objects.sorted() == [
                ".tgpipe/uploads/0123456789abcdef0123456789abcdef-fresh", "backup/x", "video/mine.mp4",
            ])
    }

    @Test func `An upload that is in no book is removed after a week, if it is in the place for uploads`() async throws
    {
        let store = try bucket.store
        let place = ".tgpipe/uploads/0123456789abcdef0123456789abcdef"
        let keys = ["\(place)-old", "\(place)-new", "video/film.mp4", ".tgpipe/uploads/Other"]
        var list = ""
        for key in keys {
            let upload = try await MultipartUpload.begin(key, headers: [], in: store)
            let time = key.hasSuffix("new") ? Timestamp.now.description : "2020-01-01T00:00:00.000Z"
            list += "<Upload><Key>\(key)</Key><UploadId>\(upload.id)</UploadId><Initiated>\(time)</Initiated></Upload>"
        }
        let page = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>\(list)</ListMultipartUploadsResult>"
        let proxy = try FaultyProxy(
            to: bucket.server.port, [.init("GET", contains: "uploads=", times: .max, .answer(200, body: page))])
        let run = try start(endpoint: proxy.endpoint)
        #expect(
            try await eventuallyAsync { try await !bucket.contents().uploads.contains(keys[0]) },
            "\(run.log.suffix(1000))")
        run.closeInput()
        #expect(try await run.result().status == 0)
        #expect(Set(try await bucket.contents().uploads) == Set(keys[1...]))
    }
}
