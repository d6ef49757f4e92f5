import Envelope
import Foundation
import JSON
import JSONSchema
import Payloads
import System
import Testing

/// Compares the payload types with `schemas/`, in both directions.
@Suite(.timeLimit(.minutes(2))) struct SchemaExampleTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("schemas").path

    static let all: [any EventPayload.Type] = [
        AccessChanged.self, AccessDenied.self, BlobRemoved.self, BlobStored.self, DeadLetter.self, DownloadFailed.self,
        DownloadReady.self, HistoryCommand.self, HistoryComments.self, HistoryHole.self, HistoryMessage.self,
        HistoryRange.self,
        LargeDownload.self, MediaCancel.self, MediaCookies.self, MediaDownload.self, MediaFetched.self,
        MediaProgress.self, RemoveBlob.self,
        TelegramCommand.self, TelegramFailed.self, TelegramSent.self, TelegramUpdate.self, TelegramWaiting.self,
    ]

    private static func examples(of type: String) throws -> [JSONObject] {
        let file = URL(fileURLWithPath: "\(folder)/\(type).json")
        return try JSON(parsing: Array(Data(contentsOf: file)))["examples"]?.array?.compactMap(\.object) ?? []
    }

    /// The value with the keys of all its objects sorted: schemas do not order them.
    private func sorted(_ json: JSON) -> JSON {
        switch json {
        case .array(let items): .array(items.map(sorted))
        case .object(let object):
            .object(
                JSONObject(
                    object.members.sorted { $0.key < $1.key }
                        .map { .init(key: $0.key, value: sorted($0.value)) }))
        default: json
        }
    }

    /// Checks envelopes in a thread that has the stack for it.
    private func fault(_ event: Envelope) throws -> MalformedInput? {
        let outcome = Monitor<Result<MalformedInput?, any Error>?>(nil)
        BlockingThread.start(stackBytes: SchemaSet.stackBytes) {
            let result = Result {
                try SchemaSet(folder: Self.folder)
                    .fault(of: Array(event.line.dropLast()), type: event.type, version: event.version)
            }
            outcome.update { $0 = result }
        }
        return try #require(outcome.wait { $0 }).get()
    }

    @Test func `Every schema has a payload type, and every payload type has schemas`() throws {
        let schemas = try FileManager.default.contentsOfDirectory(atPath: Self.folder)
            .filter { $0.hasSuffix(".json") && $0 != "envelope.json" }.map { String($0.dropLast(5)) }
        #expect(Set(Self.all.flatMap { $0.types }) == Set(schemas))
        #expect(Set(schemas).count == Self.all.flatMap { $0.types }.count)
    }

    @Test(arguments: SchemaExampleTests.all.flatMap { $0.types })
    func `The examples of a schema are read and written again as the same JSON`(_ type: String) throws {
        let payload = try #require(Self.all.first { $0.types.contains(type) })
        let examples = try Self.examples(of: type)
        try #require(!examples.isEmpty)
        for example in examples {
            let read = try payload.init(example, type: type)
            #expect(read.type == type)
            #expect(sorted(.object(read.json)) == sorted(.object(example)))
            let again = try payload.init(read.json, type: type)
            #expect(again.json.members == read.json.members)
        }
    }

    private static let correlation = EventID("0192f0c1-2345-7abc-9def-0123456789ab") ?? EventID()
    private static let hash = String(repeating: "9f", count: 32)
    private static let time = Timestamp(microseconds: 1_795_262_400_123_456)
    private static let metadata = MediaMetadata(
        content: FileContent(sizeBytes: 731_204, sha256: hash, contentType: "video/mp4"), fileName: "A clip.mp4",
        origin: MediaOrigin(
            sourceURL: "https://www.example.com/watch/7?utm_source=x", normalizedURL: "https://www.example.com/watch/7",
            domain: "example.com", fetchedAt: time.description),
        description: MediaDescription(
            title: "A clip", performer: "Somebody", durationSeconds: JSONNumber(4.2), width: 640, height: 360))
    private static let fetched = MediaFetched(
        kind: .video, key: "video/\(hash).mp4", path: "/var/lib/tgpipe/clip.mp4", metadata: metadata, host: "fetcher-1")

    private static func ready() -> DownloadReady {
        var ready = DownloadReady(fetched, store: "s3://media", path: "/var/lib/tgpipe/copy.mp4", isCached: true)
        ready.url = "https://s3.example.com/media/clip.mp4?X-Amz-Signature=1"
        ready.urlExpiresAt = time.description
        return ready
    }

    private static func file() throws -> TelegramFile {
        try #require(
            TelegramFile([
                "file_id": "BAACAgIAAxkBAAM", "file_unique_id": "AgADAgAT", "type": "video", "file_name": "clip.mp4",
                "mime_type": "video/mp4", "file_size": 731_204, "duration": 4, "width": 640, "height": 360,
                "title": "A clip", "performer": "Somebody",
            ]))
    }

    /// A value of each type with all members, as JSON text that shows the order of the keys.
    private static func values() throws -> [(any EventPayload, String)] {
        let text = TextMessage(
            "Good morning", MessageOptions(parseMode: "HTML", replyTo: 7, isSilent: true))
        let told = #""title":"A clip","performer":"Somebody","duration_seconds":4.2,"width":640,"height":360"#
        let content = #""size_bytes":731204,"sha256":"\#(hash)","content_type":"video/mp4""#
        let source =
            #""file_name":"A clip.mp4","source_url":"https://www.example.com/watch/7?utm_source=x","#
            + #""normalized_url":"https://www.example.com/watch/7","domain":"example.com""#
        let media = #"\#(content),\#(source),\#(told),"fetched_at":"2026-11-21T12:00:00.123456Z""#
        let signed =
            #""url":"https://s3.example.com/media/clip.mp4?X-Amz-Signature=1","url_expires_at":"2026-11-21T12:00:00.123456Z""#
        let inTelegram =
            #"{"file_id":"BAACAgIAAxkBAAM","file_unique_id":"AgADAgAT","type":"video","file_name":"clip.mp4","#
            + #""mime_type":"video/mp4","file_size":731204,"duration":4,"width":640,"height":360,"title":"A clip","#
            + #""performer":"Somebody"}"#
        return [
            (
                MediaDownload(kind: .video, source: .url("https://example.com/")), #"{"url":"https://example.com/"}"#
            ),
            (
                MediaDownload(
                    kind: .video, source: .url("https://example.com/"),
                    variant: MediaVariant(maxHeight: 720, subtitles: "en", cut: .init(start: 1500, end: 2000)),
                    asks: true),
                #"{"url":"https://example.com/","variant":{"height":720,"subtitles":"en","start_seconds":1.5,"#
                    + #""end_seconds":2},"ask":true}"#
            ),
            (
                MediaProgress(
                    .choosing, kind: .video, text: "Which one?", buttons: [[ChoiceButton("720p", data: "v1:AAAB")]]),
                #"{"kind":"video","state":"choosing","text":"Which one?","buttons":[[{"text":"720p","data":"v1:AAAB"}]]}"#
            ),
            (
                MediaProgress(.queued, kind: .video, place: 3, waitSeconds: 90),
                #"{"kind":"video","state":"queued","place":3,"wait_seconds":90}"#
            ),
            (MediaDownload(kind: .audio, source: .file(try file())), #"{"file":\#(inTelegram)}"#),
            (
                LargeDownload(kind: .video, source: .url("https://example.com/"), sizeBytes: 9, limitBytes: 5),
                #"{"url":"https://example.com/","kind":"video","size_bytes":9,"limit_bytes":5}"#
            ),
            (MediaCookies(.forget(site: "example.com")), #"{"action":"forget","site":"example.com"}"#),
            (
                MediaCookies(.store(try file(), messageID: 5)),
                #"{"action":"store","file":\#(inTelegram),"message_id":5}"#
            ),
            (MediaCancel(.message(id: 5, chatID: -100)), #"{"chat_id":-100,"message_id":5}"#),
            (
                MediaProgress(
                    .downloading, kind: .video, fraction: 0.5, doneBytes: 5, totalBytes: 10, bytesPerSecond: 2,
                    title: "A clip"),
                #"{"kind":"video","state":"downloading","fraction":0.5,"done_bytes":5,"total_bytes":10,"#
                    + #""rate_bytes_per_second":2.0,"title":"A clip"}"#
            ),
            (
                fetched,
                #"{"kind":"video","key":"video/\#(hash).mp4","path":"/var/lib/tgpipe/clip.mp4",\#(media),"#
                    + #""host":"fetcher-1"}"#
            ),
            (
                ready(),
                #"{"kind":"video","key":"video/\#(hash).mp4","path":"/var/lib/tgpipe/copy.mp4",\#(media),"#
                    + #""store":"s3://media",\#(signed),"cached":true}"#
            ),
            (
                DownloadFailed(
                    kind: .video, url: "https://example.com/gone", code: "not_found", reason: "Gone.",
                    isTransient: false),
                #"{"kind":"video","url":"https://example.com/gone","code":"not_found","reason":"Gone.","temporary":false}"#
            ),
            (
                BlobStored(
                    store: "s3://media", key: "blob/a", url: "https://s3.example.com/a", urlExpiresAt: time,
                    content: metadata.content, existed: false),
                #"{"store":"s3://media","key":"blob/a","url":"https://s3.example.com/a","#
                    + #""url_expires_at":"2026-11-21T12:00:00.123456Z",\#(content),"existed":false}"#
            ),
            (
                RemoveBlob(store: "s3://media", key: "42/7-talk.mp4", sha256: hash),
                #"{"store":"s3://media","key":"42/7-talk.mp4","sha256":"\#(hash)"}"#
            ),
            (
                BlobRemoved(store: "s3://media", key: "42/7-talk.mp4", existed: true),
                #"{"store":"s3://media","key":"42/7-talk.mp4","existed":true}"#
            ),
            (
                BlobStored(
                    store: "file:/srv/a", key: "b", url: nil, urlExpiresAt: nil, path: "/srv/a/b",
                    content: metadata.content, existed: true),
                #"{"store":"file:/srv/a","key":"b","path":"/srv/a/b",\#(content),"existed":true}"#
            ),
            (
                TelegramCommand(.send(text), chat: .name("@some_channel")),
                #"{"text":"Good morning","chat_id":"@some_channel","parse_mode":"HTML","reply_to":7,"silent":true}"#
            ),
            (TelegramCommand(.reply(TextMessage("Yes"))), #"{"text":"Yes"}"#),
            (
                TelegramCommand(
                    .send(
                        TextMessage(
                            "Yes",
                            MessageOptions(
                                isProtected: true, buttons: [MessageOptions.Button("More", url: "https://example.com")],
                                scheduledAt: 1_800_000_000),
                            showsLinkPreview: true))),
                #"{"text":"Yes","link_preview":true,"protect":true,"#
                    + #""buttons":[{"text":"More","url":"https://example.com"}],"scheduled_at":1800000000}"#
            ),
            (
                TelegramCommand(.answer(callbackID: "4382", text: "On it."), chat: .id(42)),
                #"{"callback_id":"4382","chat_id":42,"text":"On it."}"#
            ),
            (TelegramCommand(.pin(messageID: 8), chat: .id(42)), #"{"chat_id":42,"message_id":8}"#),
            (
                TelegramCommand(
                    .album([FileMessage(.photo, .path("a.jpg"), caption: "c"), FileMessage(.video, .fileID("BAAC"))]),
                    chat: .id(42)),
                #"{"files":[{"kind":"photo","path":"a.jpg","caption":"c"},{"kind":"video","file_id":"BAAC"}],"chat_id":42}"#
            ),
            (
                TelegramCommand(.edit(messageID: 8, text: "Done", parseMode: "HTML"), chat: .id(42)),
                #"{"text":"Done","message_id":8,"parse_mode":"HTML","chat_id":42}"#
            ),
            (TelegramCommand(.delete(messageID: 8), chat: .id(42)), #"{"message_id":8,"chat_id":42}"#),
            (
                TelegramCommand(.react(emoji: "👍", messageID: 7), chat: .id(42)),
                #"{"emoji":"👍","chat_id":42,"message_id":7}"#
            ),
            (
                TelegramCommand(
                    .file(
                        FileMessage(
                            .audio, .path("/srv/a.mp3"), caption: "As asked",
                            MessageOptions(parseMode: "HTML", replyTo: 7, isSilent: true), fileName: "a.mp3",
                            contentType: "audio/mpeg",
                            description: metadata.description, key: "audio/a")), chat: .id(42)),
                #"{"path":"/srv/a.mp3","caption":"As asked","chat_id":42,"file_name":"a.mp3","content_type":"audio/mpeg","#
                    + #""parse_mode":"HTML","reply_to":7,"silent":true,\#(told),"key":"audio/a"}"#
            ),
            (
                TelegramCommand(.file(FileMessage(.video, .url("https://example.com/a.mp4"))), chat: .id(42)),
                #"{"url":"https://example.com/a.mp4","chat_id":42}"#
            ),
            (
                TelegramCommand(.file(FileMessage(.document, .fileID("BAAC"))), chat: .id(42)),
                #"{"file_id":"BAAC","chat_id":42}"#
            ),
            (
                TelegramCommand(.forward(ForwardedMessages(.id(-1001), [7, 8], asCopies: true)), chat: .id(42)),
                #"{"from_chat_id":-1001,"message_ids":[7,8],"copy":true,"chat_id":42}"#
            ),
            (
                TelegramSent(
                    .sendVideo, chat: .id(42), messageID: 9, fileID: "BAAC", key: "video/a", isCached: true,
                    elapsedSeconds: JSONNumber(0.012)),
                #"{"action":"send_video","chat_id":42,"message_id":9,"file_id":"BAAC","key":"video/a","cached":true,"#
                    + #""elapsed_seconds":0.012}"#
            ),
            (
                TelegramSent(.sendAlbum, chat: .id(42), messageID: 9, messageIDs: [9, 10]),
                #"{"action":"send_album","chat_id":42,"message_id":9,"message_ids":[9,10]}"#
            ),
            (
                TelegramFailed(.deliver, chat: .id(42), code: 403, reason: "Forbidden"),
                #"{"action":"deliver","chat_id":42,"code":403,"reason":"Forbidden"}"#
            ),
            (
                TelegramWaiting(
                    accountID: 42, method: "messages.sendMessage", until: time, seconds: 31, reason: "FLOOD_WAIT_31",
                    chatID: -100),
                #"{"account_id":42,"method":"messages.sendMessage","until":"2026-11-21T12:00:00.123456Z","seconds":31,"#
                    + #""reason":"FLOOD_WAIT_31","chat_id":-100}"#
            ),
            (
                TelegramUpdate(
                    updateID: 12, kind: "deleted_messages", body: ["message_ids": [7]],
                    counters: ["views": 3], pts: 912, tl: ["_": "updateDeleteMessages"]),
                #"{"update_id":12,"deleted_messages":{"message_ids":[7]},"counters":{"views":3},"pts":912,"tl":{"_":"updateDeleteMessages"}}"#
            ),
            (
                HistoryCommand(
                    .name("@news"), accountID: 42, fromID: 1, toID: 20_000, since: time.description,
                    until: time.description, last: 1000),
                #"{"chat_id":"@news","account_id":42,"from_id":1,"to_id":20000,"since":"2026-11-21T12:00:00.123456Z","#
                    + #""until":"2026-11-21T12:00:00.123456Z","last":1000}"#
            ),
            (
                HistoryMessage(
                    kind: "message", body: ["message_id": 7, "date": 1, "chat": ["id": 9, "type": "private"]],
                    counters: ["views": 3], pts: 912, tl: ["_": "message"]),
                #"{"message":{"message_id":7,"date":1,"chat":{"id":9,"type":"private"}},"counters":{"views":3},"#
                    + #""pts":912,"tl":{"_":"message"}}"#
            ),
            (
                HistoryRange(
                    accountID: 42, ownerID: 0, chat: ["id": -100, "type": "channel"], fromID: 1, toID: 3,
                    found: MessageIDDigest([3, 1]), total: 2, newestID: 3, pts: 912),
                #"{"account_id":42,"owner_id":0,"chat":{"id":-100,"type":"channel"},"from_id":1,"to_id":3,"count":2,"#
                    + #""checksum":"ae1542d16403ecae","total":2,"newest_id":3,"pts":912}"#
            ),
            (
                HistoryHole(accountID: 42, ownerID: 0, chatID: -100, fromID: 7, toID: 9, reason: "too long", pts: 90),
                #"{"account_id":42,"owner_id":0,"chat_id":-100,"from_id":7,"to_id":9,"reason":"too long","pts":90}"#
            ),
            (
                HistoryComments(
                    accountID: 42, chat: ["id": -200, "type": "supergroup"], channelID: -100, postID: 7, count: 3,
                    total: 4),
                #"{"account_id":42,"chat":{"id":-200,"type":"supergroup"},"channel_id":-100,"post_id":7,"count":3,"#
                    + #""total":4}"#
            ),
            (
                AccessChanged(.bless, subjectID: 99, by: 42, isActive: true, expiresAt: time),
                #"{"rule":"bless","subject_id":99,"by":42,"active":true,"expires_at":"2026-11-21T12:00:00.123456Z"}"#
            ),
            (
                AccessDenied(reason: "hammered", code: .hammered, userID: 99, chatID: 98, text: ".vdl"),
                #"{"reason":"hammered","code":"hammered","user_id":99,"chat_id":98,"text":".vdl"}"#
            ),
            (
                DeadLetter(
                    line: Array("{oops".utf8), code: "failed", reason: "not JSON", tool: "media-fetch",
                    queue: .init(
                        queue: "media", entry: "1795299933309-0", group: "media-fetch", worker: "host1:13437:ecbe0e9a",
                        attempts: 5, failedAt: time)),
                #"{"tool":"media-fetch","code":"failed","reason":"not JSON","line":"{oops","size_bytes":5,"#
                    + #""truncated":false,"queue":"media","entry":"1795299933309-0","group":"media-fetch","#
                    + #""worker":"host1:13437:ecbe0e9a","attempts":5,"failed_at":"2026-11-21T12:00:00.123456Z"}"#
            ),
        ]
    }

    @Test func `Full values are written in their order, fit their schemas and are read again`() throws {
        let values = try Self.values()
        #expect(Set(values.map { $0.0.type }).isSuperset(of: Self.all.map { $0.types[0] }))
        for (value, text) in values {
            #expect(JSON.object(value.json).text == text)
            let event = Envelope(value, meta: [:], correlationID: Self.correlation)
            #expect(event.type == value.type)
            #expect(try fault(event) == nil, "\(text)")
            #expect(try Swift.type(of: value).init(value.json, type: value.type).json == value.json)
        }
    }

    @Test func `Digests of message ids do not depend on the order, and those of disjoint sets are added`() throws {
        var sum = MessageIDDigest([1, 2])
        sum += MessageIDDigest([Int64.max, 3])
        #expect(sum == MessageIDDigest([3, 2, Int64.max, 1]))
        sum.remove(2)
        #expect(sum == MessageIDDigest([1, 3, Int64.max]) && sum.count == 3)
        #expect(MessageIDDigest(count: sum.count, checksum: sum.checksum) == sum)
        #expect(MessageIDDigest().checksum == "0000000000000000")
        for text in ["", "+00000000000000f", "00000000000000000", "-00000000000000f"] {
            #expect(MessageIDDigest(count: 0, checksum: text) == nil, "\(text)")
        }
    }

    @Test func `Bounds that contradict each other are refused`() throws {
        let range = HistoryRange(
            accountID: 42, ownerID: 0, chat: ["id": -100, "type": "channel"], fromID: 5, toID: 6,
            found: MessageIDDigest([5, 6])
        ).json
        _ = try HistoryRange(range)
        for (key, value) in [("from_id", 7), ("from_id", 0), ("count", 3), ("count", -1), ("to_id", Int64.min)] {
            var wrong = range
            wrong[key] = .integer(value)
            #expect(throws: MalformedInput.self, "\(key) \(value)") { try HistoryRange(wrong) }
        }
        var hole = HistoryHole(accountID: 42, ownerID: 0, chatID: nil, fromID: 5, reason: "lost").json
        _ = try HistoryHole(hole)
        hole["to_id"] = 4
        #expect(throws: MalformedInput.self) { try HistoryHole(hole) }
        for (key, value) in [("to_id", JSON.string("9")), ("last", true), ("since", 5)] {
            #expect(throws: MalformedInput.self, "\(key)") { try HistoryCommand(["chat_id": "@news", key: value]) }
        }
    }
}
