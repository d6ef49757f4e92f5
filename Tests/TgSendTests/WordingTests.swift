import Envelope
import JSON
import Payloads
import System
import Testing

@testable import tg_send

extension Job: Equatable {
    static func == (left: Job, right: Job) -> Bool { left.event == right.event }
}

@Suite struct WordingTests {
    @Test func `Captions are escaped and fit Telegram's limit`() {
        let caption = Wording.caption(title: "<b>&", elapsed: .milliseconds(3240), correlationID: EventID())
        #expect(caption.hasPrefix("&lt;b&gt;&amp;\n⏱ 3.2 s · <code>"))
        let long = Wording.caption(title: String(repeating: "😀", count: 2000), elapsed: nil, correlationID: EventID())
        #expect(long.utf16.count <= 1024)
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
        #expect(Wording.progress(MediaProgress(payload)) == text)
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
        #expect(MediaDelivery.field(for: type) == field)
    }
}
