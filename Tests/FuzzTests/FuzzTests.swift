import Config
import Envelope
import Glibc
import JSON
import Payloads
import Spool
import System
import Testing

@testable import Accounts
@testable import Archive
@testable import BotAPI
@testable import Blob
@testable import HTTP
@testable import Media
@testable import Routing

/// Feeds hostile variants of valid input to each reader of outside data. Nothing may crash, and every fault is a typed error.
///
/// `TGPIPE_FUZZ_INPUTS` sets the number of inputs for each reader, and `TGPIPE_FUZZ_SEED` repeats a run; see scripts/fuzz.sh.
@Suite struct FuzzTests {
    static let count = Settings.environment("TGPIPE_FUZZ_INPUTS").flatMap { Int($0) } ?? 3_000
    static let seed =
        Settings.environment("TGPIPE_FUZZ_SEED").flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)

    func feed(_ samples: [String], minimum: Int = 1, _ check: ([UInt8]) throws -> Bool) rethrows {
        try feed(samples.map { Array($0.utf8) }, minimum: minimum, check)
    }

    func feed(_ samples: [[UInt8]], minimum: Int = 1, _ check: ([UInt8]) throws -> Bool) rethrows {
        var input = HostileInput(seed: Self.seed)
        var accepted = 0
        for sample in samples { #expect(try check(sample), "the sample itself is not accepted") }
        for _ in 0..<Self.count where try check(input.variant(of: samples)) { accepted += 1 }
        // Both kinds, so that the variants reach what lies behind the first check.
        #expect(
            accepted >= minimum && accepted < Self.count, "seed \(Self.seed): \(accepted) of \(Self.count) accepted")
    }

    @Test func `Heads of HTTP answers`() {
        let head = """
            HTTP/1.1 206 Partial Content\r\nContent-Length: 1000\r\nContent-Range: bytes 5-1004/2000\r\nRetry-After: 30\r\n\
            Content-Type: video/mp4; charset=utf-8\r\nContent-Disposition: attachment; filename="a\\"b.mp4"; filename*=UTF-8''na%C3%AFve.mp4\r\n\
            Location: https://user@example.com:8080/a/../b?c#d\r\nx-amz-meta-title--2: %D0%9A\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n
            """
        let date = head.replacing("Retry-After: 30", with: "Retry-After: Fri, 31 Dec 2026 23:59:59 GMT")
        feed([head, date]) { bytes in
            var incoming = IncomingHead()
            var isComplete = false
            for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
                isComplete = (line + [0x0A]).withUnsafeBytes { incoming.take($0) } || isComplete
            }
            let url = incoming.headers["Location"] ?? ""
            let answer = HTTPHead(status: incoming.status, headers: incoming.headers, effectiveURL: url)
            if let pause = answer.retryAfter { #expect(pause >= .zero && pause <= .seconds(31_536_000)) }
            if let length = answer.contentLength { #expect(length >= 0) }
            if let name = answer.suggestedFileName { #expect(!name.contains("/") && name.utf8.count <= 120) }
            _ = (answer.contentType, WebURL(url), MetadataHeaders.metadata(in: incoming.headers.fields))
            return isComplete && answer.retryAfter != nil
        }
    }

    @Test func `Answers of the Bot API`() {
        let message = """
            {"message_id":5,"date":1795262400,"chat":{"id":-1001234567890,"type":"supergroup","title":"G"},"from":{"id":42,"is_bot":false,"first_name":"A"},\
            "text":".vdl https://example.com/a","entities":[{"type":"bot_command","offset":0,"length":4},{"type":"url","offset":5,"length":21}],\
            "video":{"file_id":"x","file_size":123,"duration":7,"width":640,"height":360},"reply_to_message":{"message_id":4,"photo":[{"file_id":"p","width":1,"height":2}]}}
            """
        let samples = [
            #"{"ok":true,"result":[{"update_id":1,"message":\#(message)}]}"#,
            #"{"ok":true,"result":[{"update_id":9223372036854775807,"edited_message":\#(message)}]}"#,
            #"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}"#,
            #"{"ok":false,"error_code":400,"description":"Bad Request: group migrated","parameters":{"migrate_to_chat_id":-100123}}"#,
        ]
        feed(samples) { bytes in
            do throws(TelegramError) {
                for update in try BotAPI.result(status: 200, body: bytes).array ?? [] {
                    for member in update.object?.members ?? [] {
                        let update = Update(kind: member.key, body: member.value)
                        _ = (update.actor, update.message)
                    }
                }
                return true
            } catch {
                if let pause = error.retryAfter { #expect(pause >= .zero && pause <= .seconds(31_536_000)) }
                return error.code != .foreignAnswer
            }
        }
    }

    @Test func `Answers of S3`() {
        let xml = """
            <?xml version="1.0" encoding="UTF-8"?>
            <Error><Code>SlowDown</Code><Message>a &lt;b&gt; &#65; &amp;</Message><Region>eu-west-1</Region><ServerTime>2026-01-01T00:00:00Z</ServerTime></Error>
            """
        let samples = [
            xml, xml.replacing("SlowDown", with: "RequestTimeTooSkewed"),
            xml.replacing("SlowDown", with: "AuthorizationHeaderMalformed"),
            "<InitiateMultipartUploadResult><UploadId>a.b_c</UploadId></InitiateMultipartUploadResult>",
        ]
        let statuses = [200, 301, 400, 403, 404, 409, 412, 500, 503]
        var turn = 0
        feed(samples) { bytes in
            turn += 1
            let text = String(decoding: bytes.prefix(40), as: UTF8.self)
            let head = HTTPHead(
                status: statuses[turn % statuses.count],
                headers: HTTPHeaders([
                    ("Retry-After", text), ("Date", text), ("x-amz-bucket-region", text), ("Content-Length", text),
                ]),
                effectiveURL: "http://localhost/b/k")
            _ = S3Verdict(
                HTTPResponse(head: head, body: bytes), call: S3Call("PUT", key: "k"), server: "s", bucket: "b",
                now: .now)
            let answer = XMLAnswer(bytes)
            #expect(answer.elements("Upload").allSatisfy { $0.text("Upload") == nil })
            return answer.text("Message") != nil || answer.text("UploadId") != nil
        }
    }

    @Test func `Envelopes and their payloads`() {
        let id = "0192f0c1-2345-7abc-8def-0123456789ab"
        func envelope(_ type: String, _ payload: String) -> String {
            """
            {"id":"\(id)","type":"\(type)","version":1,"correlation_id":"\(id)","timestamp":"2026-01-01T00:00:00.5+01:00","payload":\(payload),\
            "meta":{"actor":{"id":42,"name":"A"},"role":"admin","origin":{"chat_id":-100,"message_id":5,"thread_id":7},"rate_limited":false}}
            """
        }
        let samples = [
            envelope(
                "commands.telegram.send", #"{"chat_id":"-1001","text":"a","reply_to_message_id":7,"thread_id":3}"#),
            envelope(
                "commands.telegram.send_video",
                #"{"chat_id":1,"path":"/a.mp4","width":640,"height":360,"duration_seconds":7.5}"#),
            envelope(
                "events.media.progress",
                #"{"job":"j","stage":"downloading","received_bytes":10,"total_bytes":1000,"percent":1}"#),
            envelope(
                "events.dl.video.ready",
                #"{"kind":"video","key":"k","size_bytes":10,"sha256":"a","content_type":"video/mp4"}"#),
            envelope("events.telegram.raw", #"{"update_id":1,"message":{"message_id":5,"date":1}}"#),
            envelope("events.dead_letter", #"{"reason":{"code":"x","text":"y"},"line":"z","size_bytes":1}"#),
        ]
        let kinds: [any EventPayload.Type] = [
            TelegramCommand.self, DeadLetter.self, BlobStored.self, BlobRemoved.self, RemoveBlob.self,
            AccessChanged.self, AccessDenied.self,
            TelegramUpdate.self,
            TelegramSent.self, TelegramFailed.self, TelegramWaiting.self, MediaDownload.self, LargeDownload.self,
            MediaProgress.self,
            MediaFetched.self, DownloadReady.self, DownloadFailed.self,
        ]
        let parser = JSONParser()
        feed(samples) { bytes in
            let isEnvelope = bytes.withUnsafeBytes { parser.scan($0).isEnvelope }
            guard let json = bytes.withUnsafeBytes({ bytes in try? parser.parse(bytes) }),
                let event = try? Envelope(json)
            else {
                #expect(!isEnvelope)
                return false
            }
            // The scan refuses more: a key of the envelope that is null, or a type that is no dotted name.
            guard isEnvelope else { return false }
            #expect((try? Envelope(JSON(parsing: Array(event.line.dropLast())))) == event)
            for kind in kinds { if let payload = try? kind.init(event.payload, type: event.type) { _ = payload.json } }
            return true
        }
    }

    @Test func `Route files`() {
        let sample = """
            dead_letter = "dead"
            overflow = "spool"
            spool_size = "10G"
            spool_full = "drop"
            before = ["log", { use = "access", roles = "admin" }]
            [[route]]
            name = "jobs"
            match = ["a.*", "b.#"]
            to = "queue:jobs"
            retry = { attempts = 5, first = "1s", longest = "1h30m" }
            """
        feed([sample, "[[route]]\nmatch = \"#\"\nto = \"-\"\n"]) { bytes in
            var plan = RoutingPlan(spool: SpoolPlan(folder: "/nowhere", limits: SpoolLimits()))
            guard let table = try? ConfigFile.table(bytes, path: "fuzz") else { return false }
            return (try? RouteFile.read(table, into: &plan)) != nil
        }
    }

    @Test func `Session files and session strings`() {
        let file = """
            {"version":1,"dc":2,"user_id":42,"keys":{"2":"\(Base64.encode(Array(repeating: 7, count: 256)))"},"addresses":{"2":{"host":"127.0.0.1","port":443}},\
            "salts":{"2":"-9223372036854775808"},"test":false,"bot":true}
            """
        feed([file]) { bytes in
            _ = try? AccountSession(string: String(decoding: bytes.prefix(400), as: UTF8.self))
            return (try? SessionFile.session(bytes, path: "fuzz")) != nil
        }
    }

    @Test func `What yt-dlp and ffprobe print`() {
        let probe = """
            {"streams":[{"codec_type":"video","codec_name":"h264","width":640,"height":360,"sample_aspect_ratio":"1:1","duration":"7.5",\
            "side_data_list":[{"rotation":-90}],"tags":{"rotate":"90"},"disposition":{"attached_pic":0}},{"codec_type":"audio","codec_name":"aac"}],\
            "format":{"duration":"7.5","format_name":"mov,mp4","tags":{"title":"T"}}}
            """
        feed([probe]) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            _ = YtDlpMessage.error([text, "ERROR: [x] \(text)"])
            return MediaProbe(json: text) != nil
        }
    }

    @Test func `Messages for an archive`() {
        let message =
            #"{"type":"events.telegram.message","correlation_id":"0191e0a0-0000-7000-8000-000000000001","payload":{"message":"#
            + #"{"message_id":5,"from":{"id":42,"first_name":"A"},"chat":{"id":-1001,"type":"supergroup"},"date":100,"#
            + #""text":"a\n\ud83d\ude00\u00fcb","photo":[{"file_unique_id":"x"},{"file_unique_id":"y"}]},"counters":{"views":9}},"#
            + #""meta":{"account":{"id":7}}}"#
        let (reader, batch) = (EventReader(), RowBatch())
        feed([message]) { bytes in
            batch.removeAll()
            reader.forgetKnown()
            guard case .taken = Line(bytes).withBytes({ reader.read($0, into: batch) }),
                let row = batch.rows.first
            else { return false }
            // The walk over the tokens finds what a tree of the whole has.
            guard let tree = try? JSON(parsing: bytes), let raw = row.content.flatMap({ batch.arena.bytes($0.raw) }),
                let part = try? JSON(parsing: Array(raw))
            else { return false }
            let known = MessageField.bodies.compactMap { tree["payload"]?[$0.key] }
            #expect(known.contains(part), "seed \(Self.seed)")
            #expect(part["message_id"]?.int == row.key.messageID && part["chat"]?["id"]?.int == row.key.chatID)
            if let text = row.content.flatMap({ batch.arena.text($0.text) }) {
                #expect(part["text"]?.string == text || part["caption"]?.string == text, "seed \(Self.seed)")
            }
            return true
        }
    }
}
