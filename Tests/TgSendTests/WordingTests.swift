import Envelope
import Foundation
import JSON
import Media
import Payloads
import System
import TestSupport
import Testing
import Texts

@testable import tg_send

extension Job: Equatable {
    static func == (left: Job, right: Job) -> Bool { left.event == right.event }
}

@Suite struct WordingTests {
    private let english = Wording(Texts(), language: "en")

    private func media(_ title: String?, url: String = "https://www.example.com/v", performer: String? = nil)
        -> DownloadReady
    {
        let metadata = MediaMetadata(
            content: FileContent(sizeBytes: 1_500_000, sha256: nil, contentType: nil), fileName: nil,
            origin: MediaOrigin(sourceURL: url, normalizedURL: nil, domain: "example.com", fetchedAt: nil),
            description: MediaDescription(title: title, performer: performer, durationSeconds: JSONNumber(61.5)))
        return DownloadReady(kind: .video, key: "k", metadata: metadata, store: "file:/x", isCached: false)
    }

    @Test func `Captions are escaped and fit Telegram's limit`() {
        let caption = english.caption(media("<b>&"), elapsed: .milliseconds(3240), correlationID: EventID())
        #expect(caption.hasPrefix("&lt;b&gt;&amp;\n⏱ 3.2 s · <code>"))
        let tagged = english.caption(
            media("T"), elapsed: nil, correlationID: EventID(), hashtags: ["a_b", "Ж"])
        #expect(tagged.hasPrefix("T\n#a_b #Ж\n"))
        let tags = (0..<10).map { "\($0)" + String(repeating: "x", count: 63) }
        let crowded = english.caption(
            media(String(repeating: "😀", count: 2000)), elapsed: nil, correlationID: EventID(), hashtags: tags)
        #expect(crowded.utf16.count <= 1024 && crowded.contains("#9xxx"))
        let long = english.caption(
            media(String(repeating: "😀", count: 2000)), elapsed: nil, correlationID: EventID())
        #expect(long.utf16.count <= 1024)
    }

    @Test func `A caption follows a template of one's own, without what is not known`() throws {
        let folder = try TemporaryFolder()
        let template = "{title}\\n{link}\\n{duration} · {size} · {uploader}\\n{tags}"
        try "[en]\ncaption = \"\(template)\"".write(
            toFile: folder("texts.toml"), atomically: false, encoding: .utf8)
        let wording = Wording(try Texts(own: folder("texts.toml")), language: nil)
        let caption = wording.caption(media("T"), elapsed: .seconds(1), correlationID: EventID())
        #expect(caption == "T\nhttps://www.example.com/v\n1:01 · 1.5 MB\n#video #example")
        let full = media(
            String(repeating: "x", count: 2000), url: "https://e.example/" + String(repeating: "y", count: 900),
            performer: "Ann & Bob")
        let long = wording.caption(full, elapsed: nil, correlationID: EventID())
        #expect(long.utf16.count <= 1100 && long.contains("Ann &amp; Bob"))
        #expect(long.replacing("&amp;", with: "&").utf16.count <= 1024)
    }

    @Test func `Users of other languages read failures in theirs`() {
        let german = Wording(Texts(), language: "de-AT")
        #expect(german.failure("That is too large.", code: "too_large") == "❌ Das ist zu groß.")
        #expect(german.failure("x < y", code: "unheard_of") == "❌ x &lt; y")
        #expect(english.failure("It is 5 MB too large.", code: "too_large") == "❌ It is 5 MB too large.")
        #expect(german.progress(MediaProgress(.queued)) == "⏳ In der Warteschlange …")
    }

    @Test func `All options of a long question are shown, and it fits a message`() {
        let question = String(repeating: "An option of a list\n", count: 100) + "The last one"
        #expect(english.progress(MediaProgress(.choosing, text: question)) == question)
        let endless = MediaProgress(.choosing, text: String(repeating: "x", count: 100_000))
        #expect(english.progress(endless).utf16.count < 4096)
    }

    @Test func `A list that goes on with a single video names its place alone`() throws {
        for (range, words) in [(ItemRange(3, 3), "3"), (ItemRange(3, 4), "3-4"), (ItemRange(100, 100), "100-100")] {
            let group = try #require(EventGroup(item: 1, count: 1, next: range))
            for language in Texts().languages {
                let text = try #require(Wording(Texts(), language: language).endOfGroup(group, []))
                let numbers = text.split { !"0123456789-".contains($0) }
                #expect(numbers == [words[...]], "\(language): \(text)")
            }
        }
    }

    @Test func `Every kind of failure has its text in all languages`() {
        let texts = Texts()
        let codes = MediaError.Code.allCases.map(\.rawValue)
        #expect(codes.filter { !texts.has("failure_\($0)") } == [])
        #expect(MediaProgress.State.allCases.filter { $0 != .choosing && !texts.has("progress_\($0.rawValue)") } == [])
    }

    @Test(arguments: [
        (0, "0 ms"), (-5, "0 ms"), (14, "14 ms"), (999, "999 ms"), (1000, "1.0 s"), (61_250, "61.2 s"),
    ])
    func `Short times are shown more precisely`(_ milliseconds: Int, _ text: String) {
        #expect(Wording.time(.milliseconds(milliseconds)) == text)
    }

    @Test(
        arguments: [
            (
                ["state": "downloading", "fraction": 0.456, "rate_bytes_per_second": 3_200_000],
                "⬇️ Downloading ▰▰▰▰▱▱▱▱▱▱ 45% · 3.2 MB/s"
            ),
            (["state": "downloading", "done_bytes": 1500], "⬇️ Downloading 1.5 kB"), (["state": "accepted"], "⏳ On it…"),
            (
                ["state": "downloading", "done_bytes": 9_000_000_000_000_000_000, "rate_bytes_per_second": -1e300],
                "⬇️ Downloading 1000000 GB · 0 B/s"
            ),
            (["state": "converting", "fraction": 7], "🎞 Converting ▰▰▰▰▰▰▰▰▰▰ 100%"),
            (["state": "unheard of"], "⏳ On it…"),
        ] as [(JSONObject, String)])
    func `Progress is readable`(_ payload: JSONObject, _ text: String) {
        #expect(english.progress(MediaProgress(payload)) == text)
    }

    @Test(
        arguments: [
            ("../../etc/passwd", "_.._etc_passwd"), ("a/b\\c\"d", "a_b_c_d"), ("", nil), ("...", nil),
            ("x\u{0}\ny", "xy"), ("\u{202E}4pm.exe", "4pm.exe"),
            ("видео.mp4", "видео.mp4"),
            (String(repeating: "ж", count: 300) + ".mp4", String(repeating: "ж", count: 98) + ".mp4"),
        ] as [(String, String?)])
    func `File names from outside are made harmless`(_ name: String, _ safe: String?) {
        #expect(FileName.safe(name) == safe)
    }

    @Test(arguments: [
        ("video/mp4", "video"), ("audio/mpeg", "audio"), ("video/webm", "document"), ("application/zip", "document"),
    ])
    func `Only formats that Telegram plays are sent as playable media`(_ type: String, _ field: String) {
        #expect(MediaDelivery.field(for: media(type, 1000, nil, nil)) == field)
    }

    private func media(_ type: String, _ bytes: Int64?, _ width: Int64?, _ height: Int64?) -> MediaMetadata {
        MediaMetadata(
            content: FileContent(sizeBytes: bytes, sha256: nil, contentType: type), fileName: nil,
            origin: MediaOrigin(sourceURL: nil, normalizedURL: nil, domain: nil, fetchedAt: nil),
            description: MediaDescription(width: width, height: height))
    }

    @Test(
        arguments: [
            ("image/jpeg", 10_000_000, 5000, 5000, "photo"), ("image/png", 1, 1, 1, "photo"),
            ("image/webp", 1, 20, 400, "photo"), ("image/jpeg", 10_000_001, 100, 100, "document"),
            ("image/jpeg", 1, 5001, 5000, "document"), ("image/png", 1, 401, 20, "document"),
            ("image/png", 1, .max, .max, "document"), ("image/png", 1, 0, 5, "document"),
            ("image/png", 1, nil, nil, "document"), ("image/jpeg", nil, 5, 5, "document"),
            ("image/gif", 1, 64, 64, "animation"), ("image/gif", 1, nil, nil, "document"),
            ("image/svg+xml", 1, 5, 5, "document"), ("image/heic", 1, 5, 5, "document"),
        ] as [(String, Int64?, Int64?, Int64?, String)])
    func `Pictures within Telegram's limits are photos, and others are files`(
        _ type: String, _ bytes: Int64?, _ width: Int64?, _ height: Int64?, _ field: String
    ) {
        #expect(MediaDelivery.field(for: media(type, bytes, width, height)) == field)
    }
}
