import System
import Testing

@Suite struct DisplayTextTests {
    @Test(arguments: [
        ("a\u{202E}fdp.exe", "afdp.exe"), ("🏳️\u{200D}🌈.mp4", "🏳️\u{200D}🌈.mp4"),
        (
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}.mp4",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}.mp4"
        ),
        ("می\u{200C}خواهم", "می\u{200C}خواهم"), ("new\u{1FAEB} emoji", "new\u{1FAEB} emoji"),
        ("zero\u{200B}width\u{AD}", "zerowidth"),
        ("line\u{2028}two\u{85}", "linetwo"), ("\u{FEFF}.hidden", "hidden"), ("\u{E000}", nil),
    ])
    func `A file name keeps what belongs to the text and loses what steers its display`(text: String, name: String?) {
        #expect(FileName.safe(text) == name)
    }

    @Test func `A text for a terminal is one line of at most the given length`() {
        #expect("a\nb\u{1B}[0m\u{2067}".printable == "a b [0m ")
        #expect("abcdef".printable(atMost: 3) == "abc")
    }

    @Test func `Secrets that change with each use replace earlier ones of their owner, and no others`() {
        KnownSecrets.remember("rotated-owner-lasting")
        for number in 1...5000 {
            KnownSecrets.remember(["rotated-\(number)-a", "rotated-\(number)-b"], of: "/tests/rotated")
        }
        KnownSecrets.remember(["rotated-of-another"], of: "/tests/other")
        for text in ["owner-lasting", "5000-a", "5000-b", "4990-b", "of-another"] {
            #expect(KnownSecrets.removed(from: "rotated-\(text)") == "[secret]")
        }
        #expect(KnownSecrets.removed(from: "rotated-1-a") == "rotated-1-a")
        let many = (1...1000).map { "rotated-many-\($0)." }
        KnownSecrets.remember(many, of: "/tests/rotated")
        #expect(many.count { KnownSecrets.removed(from: $0) == "[secret]" } == KnownSecrets.mostOfOwner)
    }

    @Test func `A secret is removed as a whole before its parts, and short texts are not secrets`() {
        KnownSecrets.remember("999:part-of-this")
        KnownSecrets.remember("abc")
        #expect(KnownSecrets.removed(from: "x 999:part-of-this part-of-this abc") == "x [secret] [secret] abc")
    }
}
