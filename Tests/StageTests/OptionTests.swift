import JSON
import Options
@testable import Stage
import System
import Testing

@Suite struct OptionTests {
    @Test(arguments: [
        ("0", 0), ("512", 512), ("64K", 65_536), ("50M", 52_428_800), ("2G", 2_147_483_648), ("8MiB", 8_388_608),
        ("1kb", 1024),
    ])
    func `Sizes are read`(_ text: String, _ bytes: Int64) {
        #expect(ByteSize(argument: text)?.bytes == bytes)
    }

    @Test(arguments: ["", "K", "-1", "1.5M", "99999999999G", "1X", "M5"])
    func `Text in another format is not a size`(_ text: String) {
        #expect(ByteSize(argument: text) == nil)
    }

    @Test(arguments: [0, 1, 1024, 1500, 8 << 20, 3 << 30])
    func `A printed size is read back unchanged`(_ bytes: Int64) {
        #expect(ByteSize(argument: ByteSize(bytes).description)?.bytes == bytes)
    }

    @Test func `Backoff delays grow and are bounded`() {
        var backoff = Backoff(first: .seconds(1), longest: .seconds(8))
        let pauses = (0..<6).map { _ in backoff.next() }
        for (pause, limit) in zip(pauses, [1, 2, 4, 8, 8, 8]) {
            #expect(pause >= .seconds(limit) / 2 && pause <= .seconds(limit))
        }
        backoff.reset()
        #expect(backoff.next() <= .seconds(1))
    }

    @Test func `Text for a terminal has no control characters`() {
        #expect("a\u{1B}[31mb\nc\u{7}\u{9B}".printable == "a [31mb c  ")
    }
}

struct HelpTextTests {
    private let help = """
        OVERVIEW: Do something.

        Examples: a --b
                  a --c |
        d

        USAGE: tool <options>

        READING FROM A QUEUE:
          --group <name>          The group.
                                  Default: none.

        FETCHING:
          --fast                  Hurry.

        LOG, STATE AND REDIS:
          -q, --quiet             Say nothing.

        OPTIONS:
          --version               Show the version.

        ARGUMENTS:
          <file>                  A file.

          See 'tool help <subcommand>' for detailed help.
        """

    @Test func `What one needs first comes first, no word is lost, and each example is on one line`() {
        let ordered = HelpText.ordered(help)
        let titles = ordered.split(separator: "\n").filter { $0.hasSuffix(":") && !$0.hasPrefix(" ") }
        #expect(
            titles == [
                "Examples:", "ARGUMENTS:", "OPTIONS:", "FETCHING:", "LOG, STATE AND REDIS:", "READING FROM A QUEUE:",
            ])
        #expect(
            ordered.hasPrefix(
                "OVERVIEW: Do something.\n\nExamples:\n  a --b\n  a --c | d\n\nUSAGE: tool <options>\n\nARGUMENTS:\n"))
        #expect(ordered.hasSuffix("\n\n  See 'tool help <subcommand>' for detailed help.\n"))
        func words(_ text: String) -> [Substring] { text.split { $0 == "\n" || $0 == " " }.sorted() }
        #expect(words(ordered) == words(help))
    }

    @Test func `Other texts stay as they are`() {
        for text in ["", "0.1.0", "OVERVIEW: x\n\nUSAGE: y\n\nOPTIONS:\n  -h\n"] {
            #expect(HelpText.ordered(text) == text)
        }
    }
}
