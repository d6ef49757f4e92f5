import Envelope
import JSON
import Payloads
import Testing

@testable import media_fetch

@Suite struct MediaRequestTests {
    @Test(arguments: [(1.2, 2), (1e300, nil), (-1e300, nil)] as [(Double, Int64?)])
    func `The retry time of a rate-limited request is read`(given: Double, seconds: Int64?) throws {
        var event = Envelope(
            type: "commands.media.video_download", payload: ["url": "https://example.com/"])
        event.meta["rate_limited"] = true
        event.meta["rate_limit"] = ["retry_after_seconds": .number(given)]
        let request = try MediaRequest(event)
        #expect(request.isRateLimited)
        #expect(request.retryAfterSeconds == seconds)
    }

    @Test func `A large download names its kind itself`() throws {
        let source = DownloadSource.url("https://example.com/")
        let event = Envelope(LargeDownload(kind: .audio, source: source, sizeBytes: 9, limitBytes: 5))
        let request = try MediaRequest(event)
        #expect(request.isLarge && request.kind == .audio && request.source == source)
        #expect(!request.isRateLimited && request.retryAfterSeconds == nil)
        #expect(MediaRequest.types.contains(event.type))
    }

    @Test(
        arguments: [
            ("admin", 42, true), ("blessed", 42, false), ("graced", nil, false), (nil, 42, false), (nil, nil, true),
        ] as [(String?, Int64?, Bool)])
    func `Pages of the account are for admins, and for the operator's scripts`(
        _ role: String?, _ user: Int64?, _ mayRead: Bool
    ) throws {
        var event = Envelope(MediaDownload(kind: .video, source: .url("https://example.com/")))
        event.role = role
        event.actor = user.map { EventActor(id: $0, name: "A") }
        #expect(try MediaRequest(event).readsAccountPages == mayRead)
    }

    @Test(arguments: [
        ("commands.media.video_download", "{}"),
        ("commands.media.video_download", #"{"url":"https://a/","file":{"file_id":"1","file_unique_id":"2"}}"#),
        ("commands.media.audio_download", #"{"file":{"file_id":"1"}}"#),
        ("commands.media.large_download", #"{"url":"https://a/"}"#),
        ("commands.media.large_download", #"{"kind":"picture","url":"https://a/"}"#),
    ])
    func `A command without exactly one source, or without a kind, is malformed`(type: String, payload: String) throws {
        let payload = try #require(try JSON(parsing: payload).object)
        let error = #expect(throws: MalformedInput.self) {
            try MediaRequest(Envelope(type: type, payload: payload))
        }
        #expect(error?.code == .invalidPayload)
    }

    @Test(arguments: [
        "{}", #"{"correlation_id":"x"}"#, #"{"chat_id":1}"#, #"{"message_id":1}"#,
        #"{"chat_id":"@name","message_id":1}"#,
        #"{"correlation_id":"01930b7a-4f00-7abc-8def-0123456789ab","chat_id":1,"message_id":2}"#,
    ])
    func `A cancellation that names no request, or two, is malformed`(payload: String) throws {
        let payload = try #require(try JSON(parsing: payload).object)
        #expect(throws: MalformedInput.self) {
            try MediaCancel(Envelope(type: MediaCancel.type, payload: payload))
        }
    }
}
