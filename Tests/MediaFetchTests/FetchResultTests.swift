import Blob
import JSON
import Media
import Payloads
import Testing

@testable import media_fetch

@Suite struct FetchResultTests {
    private static let media = MediaFetched(
        kind: .audio, key: "audio/k.mp3", path: "/tmp/media-k.mp3",
        metadata: MediaMetadata(
            content: FileContent(sizeBytes: 19, sha256: "abc", contentType: "audio/mpeg"), fileName: "A song.mp3",
            origin: MediaOrigin(
                sourceURL: "http://example.com/a", normalizedURL: "https://example.com/a", domain: "example.com",
                fetchedAt: "2026-01-02T03:04:05.678Z"),
            description: MediaDescription(title: "A song", durationSeconds: JSONNumber(2.5))),
        host: "host-1")

    /// A result as Redis holds it, written by hand so that a change of the format fails here.
    private static let kept = """
        {"fetched":{"kind":"audio","key":"audio/k.mp3","path":"/tmp/media-k.mp3","size_bytes":19,"sha256":"abc",\
        "content_type":"audio/mpeg","file_name":"A song.mp3","source_url":"http://example.com/a",\
        "normalized_url":"https://example.com/a","domain":"example.com","title":"A song","duration_seconds":2.5,\
        "fetched_at":"2026-01-02T03:04:05.678Z"},"host":"host-1"}
        """

    private func result(_ text: String) throws -> FetchResult? {
        FetchResult(try #require(try JSON(parsing: text).object))
    }

    private func text(_ result: FetchResult) -> String { JSON.object(result.json).text }

    @Test func `A fetched file is kept in Redis with its host beside it`() throws {
        #expect(text(.fetched(Self.media)) == Self.kept)
        guard case .fetched(let media) = try result(Self.kept) else {
            Issue.record("not a fetched file")
            return
        }
        #expect(media == Self.media)
    }

    @Test func `Stored media are kept in Redis without a URL`() throws {
        let ready = DownloadReady(Self.media, store: "s3://media", path: nil, isCached: false)
        let written = text(.put(ready))
        #expect(!written.contains("\"url\"") && !written.contains("\"path\""))
        guard case .put(let read) = try result(written) else {
            Issue.record("no stored media")
            return
        }
        #expect(read.json == ready.json && read.type == ready.type)
    }

    @Test func `The site that refused its cookies is told to all who wait`() throws {
        var error = MediaError(.loginRequired, "x")
        error.refusedCookiesOf = "example.com"
        guard case .failed(let told) = try result(text(.failed(error))) else {
            Issue.record("not a failure")
            return
        }
        #expect(told.refusedCookiesOf == "example.com" && told.code == .loginRequired)
    }

    @Test func `A result of an earlier version adds no key to the event`() throws {
        let earlier = Self.kept.replacing(
            #""fetched_at""#, with: #""canonical_url":"https://example.com/a","fetched_at""#)
        guard case .fetched(let media) = try result(earlier) else {
            Issue.record("not a fetched file")
            return
        }
        #expect(media.json["canonical_url"] == nil)
        #expect(media == Self.media)
    }

    @Test(arguments: [
        #"{"stored_as":"https://example.com/a"}"#, #"{"large":true}"#, #"{"large":true,"size_bytes":5}"#,
        #"{"failed":{"code":"timed_out","reason":"Too slow.","temporary":true,"retry_after_seconds":7}}"#,
    ])
    func `Each other result is read and written again as the same JSON`(_ kept: String) throws {
        #expect(try result(kept).map(text) == kept)
    }

    @Test func `A store's failure is read and written again`() throws {
        let written = text(.unstorable(BlobError(.busy, "too many requests", isTransient: true)))
        guard case .unstorable(let error) = try result(written) else {
            Issue.record("not a store's failure")
            return
        }
        #expect(error.code == .busy && error.isTransient && error.message == "too many requests")
    }

    @Test(arguments: [
        "{}", #"{"fetched":{"kind":"audio","key":"k","path":"/p"},"host":"h"}"#, #"{"failed":{"code":"new"}}"#,
    ])
    func `An incomplete or unknown result is no result`(_ kept: String) throws {
        #expect(try result(kept) == nil)
    }
}
