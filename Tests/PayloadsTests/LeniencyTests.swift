import Envelope
import JSON
import Payloads
import Testing

@Suite struct LeniencyTests {
    private func event(_ type: String, _ payload: JSONObject, origin: JSON? = nil) -> Envelope {
        Envelope(type: type, payload: payload, meta: ["origin": origin])
    }

    private func reason(_ body: () throws -> Void) -> String? {
        do { try body() } catch let error as MalformedInput {
            return error.code == .invalidPayload ? error.reason : error.code.rawValue
        } catch { return "\(error)" }
        return nil
    }

    struct Lacking: Sendable {
        let action: String
        let payload: String
        var origin: String?
        let reason: String?
    }

    static let lacking: [Lacking] = [
        Lacking(
            action: "send", payload: #"{"text":"a"}"#, reason: "no chat_id, and no meta.origin to take it from"),
        Lacking(action: "send", payload: #"{"chat_id":1}"#, reason: "no text"),
        Lacking(action: "send", payload: #"{"chat_id":1,"text":""}"#, reason: "no text"),
        Lacking(action: "edit", payload: #"{"chat_id":1,"text":"a"}"#, reason: "no message_id"),
        Lacking(
            action: "edit", payload: #"{"text":"a"}"#, origin: #"{"chat_id":1,"message_id":2}"#,
            reason: "no message_id"),
        Lacking(action: "edit", payload: #"{"chat_id":1,"message_id":2}"#, reason: "no text"),
        Lacking(action: "delete", payload: #"{"chat_id":1}"#, reason: "no message_id"),
        Lacking(action: "react", payload: #"{"chat_id":1}"#, reason: "no message_id"),
        Lacking(action: "react", payload: #"{"emoji":""}"#, origin: #"{"chat_id":1,"message_id":2}"#, reason: nil),
        Lacking(
            action: "send_video", payload: #"{"chat_id":1}"#, reason: "one of path, url and file_id is needed"),
        Lacking(action: "send", payload: #"{"chat_id":true,"text":"a"}"#, reason: "chat_id has the wrong type"),
        Lacking(
            action: "send", payload: #"{"chat_id":1,"text":"a","parse_mode":1}"#,
            reason: "parse_mode has the wrong type"),
        Lacking(action: "delete", payload: #"{"chat_id":1,"message_id":"8"}"#, reason: nil),
        Lacking(
            action: "delete", payload: #"{"chat_id":1,"message_id":"eight"}"#, reason: "message_id has the wrong type"),
    ]

    @Test(arguments: lacking)
    func `A command without a required field names the field`(_ lacking: Lacking) throws {
        let payload = try #require(try JSON(parsing: lacking.payload).object)
        let origin = try lacking.origin.map { try JSON(parsing: $0) }
        let event = event("commands.telegram.\(lacking.action)", payload, origin: origin)
        #expect(reason { _ = try TelegramCommand(event) } == lacking.reason.map { "\(event.type): \($0)" })
    }

    @Test(arguments: ["commands.telegram.shout", "commands.telegram.deliver", "events.telegram.sent"])
    func `An event of another type is not a command`(_ type: String) {
        #expect(reason { _ = try TelegramCommand(["chat_id": 1], type: type) } == "unknown_type")
    }

    @Test(arguments: [
        ("{}", "one of url and file is needed"),
        (
            #"{"url":"https://a.example","file":{"file_id":"A","file_unique_id":"B"}}"#,
            "one of url and file is needed"
        ),
        (#"{"file":{"file_id":"A"}}"#, "the file has no file_id or no file_unique_id"),
        (#"{"file":"A"}"#, "the file has no file_id or no file_unique_id"),
        (#"{"url":"https://a.example","file":null}"#, nil),
        (#"{"url":5}"#, "one of url and file is needed"),
    ])
    func `A media command needs exactly one source`(_ json: String, _ text: String?) throws {
        let payload = try #require(try JSON(parsing: json).object)
        let types = ["commands.media.video_download", "commands.media.audio_download"]
        for type in types {
            #expect(reason { _ = try MediaDownload(payload, type: type) } == text.map { "\(type): \($0)" })
        }
        var large = payload
        #expect(
            reason { _ = try LargeDownload(large, type: LargeDownload.type) }
                == "commands.media.large_download: kind is none of video, audio and image")
        large["kind"] = "audio"
        #expect(
            reason { _ = try LargeDownload(large, type: LargeDownload.type) }
                == text.map { "commands.media.large_download: \($0)" })
    }

    @Test func `A fetched file needs a kind, a key and a path, and keeps what it does not know`() throws {
        #expect(
            reason { _ = try MediaFetched(["key": "a", "path": "/a"]) } == "kind is none of video, audio and image")
        #expect(reason { _ = try MediaFetched(["kind": "video", "key": "a", "path": ""]) } == "no key or no path")
        let fetched = try MediaFetched([
            "kind": "video", "key": "a", "path": "/a", "url": 5, "title": 7, "mine": ["a": 1], "duration_seconds": 4,
            "host": "other",
        ])
        var ready = DownloadReady(fetched, store: "file:/s", path: nil, isCached: false)
        ready.url = "https://a.example"
        #expect(
            JSON.object(ready.json).text
                == #"{"kind":"video","key":"a","duration_seconds":4,"store":"file:/s","url":"https://a.example","#
                + #""title":7,"mine":{"a":1}}"#)
    }

    @Test func `Fields that scripts leave out of progress and results are nil`() throws {
        #expect(MediaProgress(["state": "thinking"]).state == nil)
        #expect(MediaProgress([:]).kind == nil)
        #expect(DownloadFailed([:], type: "events.dl.audio.failed").type == "events.dl.audio.failed")
        #expect(DownloadFailed([:], type: "events.dl.audio.failed").reason == nil)
        #expect(try DownloadReady(["key": "a"], type: "events.dl.audio.ready").kind == nil)
        #expect(reason { _ = try DownloadReady([:], type: "events.dl.audio.ready") } == "events.dl.audio.ready: no key")
    }

    @Test func `Numbers keep the form in which they were written`() throws {
        for text in ["4", "4.0", "4.25", "0"] {
            let number = try #require(JSONNumber(try JSON(parsing: text)))
            #expect(number.json.text == text)
        }
        #expect(JSONNumber(JSON.string("4")) == nil)
        #expect(JSONNumber(2.5).rounded == 3)
        #expect(JSONNumber(1e300).rounded == nil)
    }

    @Test func `Meta names the receiver of an update and the role of its user`() throws {
        var event = event("events.telegram.raw", [:])
        #expect(event.bot == nil && event.account == nil && event.role == nil && !event.isOutgoing)
        let time = try #require(Timestamp("2026-11-21T12:00:00.123456Z"))
        event.receivedAt = time
        event.bot = EventReceiver(id: 7, username: "some_bot")
        event.account = EventReceiver(id: 8, username: nil)
        event.isOutgoing = true
        event.role = "blessed"
        #expect(
            JSON.object(event.meta).text
                == #"{"received_at":"2026-11-21T12:00:00.123456Z","bot":{"id":7,"username":"some_bot"},"#
                + #""account":{"id":8},"outgoing":true,"role":"blessed"}"#)
        #expect(event.receivedAt == time && event.bot?.username == "some_bot" && event.account?.id == 8)
        #expect(event.isOutgoing && event.role == "blessed")
        event.isOutgoing = false
        #expect(event.meta["outgoing"] == nil)
    }

    @Test func `Meta has an origin, an actor and a limit`() {
        var event = event("commands.telegram.reply", [:])
        #expect(event.origin == nil)
        event.origin = EventOrigin(chat: .id(-100), messageID: 5, threadID: 3, chatType: "supergroup")
        event.actor = EventActor(id: 42, username: "alice", name: "Alice")
        event.mark(
            exceeding: ExceededLimit(
                name: "n", limit: 5, windowSeconds: JSONNumber(60.0 as Double), retryAfterSeconds: JSONNumber(Int64(3)))
        )
        #expect(
            JSON.object(event.meta).text
                == #"{"origin":{"chat_id":-100,"message_id":5,"thread_id":3,"chat_type":"supergroup"},"#
                + #""actor":{"id":42,"username":"alice","name":"Alice"},"rate_limited":true,"#
                + #""rate_limit":{"name":"n","limit":5,"window_seconds":60.0,"retry_after_seconds":3}}"#)
        #expect(event.origin?.chat == .id(-100))
        #expect(event.actor?.name == "Alice")
        #expect(event.isRateLimited)
        #expect(event.retryAfterSeconds == 3)
        #expect(ChatID("-42").number == -42)
        #expect(ChatID("@some_channel").description == "@some_channel")
    }

    @Test func `An origin's ids may be text`() {
        let origin = EventOrigin(["chat_id": "-100", "message_id": "5", "thread_id": "12"])
        #expect(origin?.messageID == 5 && origin?.threadID == 12)
        #expect(EventOrigin(["message_id": "five"])?.messageID == nil)
    }

    @Test(arguments: [JSON.null, 5, true, []])
    func `A host of a wrong type does not reach the result for tg-send`(_ host: JSON) throws {
        let fetched = try MediaFetched(["kind": "video", "key": "k", "path": "/f", "host": host, "mine": 1])
        let ready = DownloadReady(fetched, store: "file:/s", path: nil, isCached: false)
        #expect(ready.json["host"] == nil && ready.json["mine"] == 1)
    }
}
