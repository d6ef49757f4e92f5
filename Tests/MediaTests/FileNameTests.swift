import HTTP
@testable import Media
import System
import Testing

@Suite struct FileNameTests {
    @Test(arguments: [
        ("../../etc/passwd", "_.._etc_passwd"), ("a/b\\c:d", "a_b_c_d"), ("\u{202E}gpj.exe\u{7}\n", "gpj.exe"),
        (".hidden", "hidden"), ("Ünïcode – ok.mp4", "Ünïcode – ok.mp4"), ("x ", "x"),
        ("👩\u{200D}🚀.mp4", "👩\u{200D}🚀.mp4"),
    ])
    func `A file name becomes one safe line`(given: String, name: String) {
        #expect(FileName.safe(given, maxBytes: 120) == name)
    }

    @Test(arguments: ["", "...", "\n", " ", "\u{200D}"])
    func `A file name is never empty or too long`(given: String) {
        #expect(FileName.safe(given, maxBytes: 120) == nil)
        #expect(FileName.make(given, fallback: "abc", fileExtension: "mp4") == "abc.mp4")
        #expect(FileName.safe(String(repeating: "ä", count: 500), maxBytes: 120)?.utf8.count == 120)
        #expect(FileName.safe(String(repeating: "ä", count: 500) + ".webm", maxBytes: 120)?.hasSuffix("ä.webm") == true)
    }

    @Test func `A file name gets the extension of its true type`() {
        #expect(FileName.make("clip.webm", fallback: "x", fileExtension: "mp4") == "clip.mp4")
        #expect(FileName.make("Vol. 2 of it", fallback: "x", fileExtension: "mp4") == "Vol. 2 of it.mp4")
        #expect(FileName.make("a.b.c", fallback: "x", fileExtension: "mp3") == "a.b.mp3")
    }

    @Test(arguments: [
        (#"attachment; filename="a b.mp4""#, "a b.mp4"), ("attachment; filename=x.mp4", "x.mp4"),
        (#"attachment; filename="no.mp4"; filename*=UTF-8''%C3%A4.mp4"#, "ä.mp4"),
        (#"attachment; filename="q\"uo;te.mp4""#, "q_uo;te.mp4"), ("inline", "v 1.mp4"),
        (#"attachment; filename="../../x""#, "x"), (#"attachment; filename*=koi8-r''%ff; filename=y"#, "y"),
    ])
    func `The name in a Content-Disposition header is used`(header: String, name: String) {
        let head = HTTPHead(
            status: 200, headers: HTTPHeaders([("Content-Disposition", header)]),
            effectiveURL: "https://example.com/dir/v%201.mp4?x=/y.avi")
        #expect(head.suggestedFileName == name)
    }

    @Test func `Any text becomes one line`() {
        #expect(OneLine(" a\n\tb\u{0}c \u{202E}d ")?.text == "a b c d")
        #expect(OneLine("\n\u{200B}") == nil)
        #expect(OneLine("👩\u{200D}🚀")?.text == "👩\u{200D}🚀")
        #expect(OneLine(String(repeating: "x", count: 1000), maxBytes: 10)?.text.count == 10)
    }
}
