import Foundation
import System
import TestSupport
import Testing

@Suite struct SettingsTests {
    @Test func `A secret is erased from the environment once it is taken, and stays known to this process`() throws {
        setenv("TGPIPE_TEST_WORD", "a secret of 20 bytes", 1)
        let place = try #require(getenv("TGPIPE_TEST_WORD"))
        #expect(try Settings.secret("TGPIPE_TEST_WORD", file: nil, what: "word") == "a secret of 20 bytes")
        #expect((0..<20).allSatisfy { place[$0] == 0 })
        #expect(Settings.environment("TGPIPE_TEST_WORD") == "a secret of 20 bytes")
        #expect(try Settings.secret("TGPIPE_TEST_WORD", file: nil, what: "word") == "a secret of 20 bytes")
        setenv("TGPIPE_TEST_WORD", "another", 1)
        #expect(Settings.takeSecret("TGPIPE_TEST_WORD") == "another")
    }

    @Test func `A credential of a service takes the place of a variable that is not set`() throws {
        let folder = try TemporaryFolder()
        let files = ["TGPIPE_TEST_TOKEN": "one\n", "tgpipe_TGPIPE_TEST_OTHER": "two words", "TGPIPE_TEST_EMPTY": "\n"]
        for (name, text) in files { try text.write(toFile: folder(name), atomically: true, encoding: .utf8) }
        setenv("CREDENTIALS_DIRECTORY", folder.path, 1)
        defer { unsetenv("CREDENTIALS_DIRECTORY") }
        #expect(Settings.environment("TGPIPE_TEST_TOKEN") == "one")
        #expect(Settings.environment("TGPIPE_TEST_OTHER") == "two words")
        #expect(Settings.environment("TGPIPE_TEST_EMPTY") == nil)
        #expect(try Settings.secret("TGPIPE_TEST_TOKEN", file: nil, what: "token") == "one")
        setenv("TGPIPE_TEST_TOKEN", "variable", 1)
        defer { unsetenv("TGPIPE_TEST_TOKEN") }
        #expect(Settings.environment("TGPIPE_TEST_TOKEN") == "variable")
    }

    @Test func `A file gives its first word or line, and one that gives none is named`() throws {
        let folder = try TemporaryFolder()
        try "  two words\r\nmore\n".write(toFile: folder("full"), atomically: true, encoding: .utf8)
        try "\n".write(toFile: folder("empty"), atomically: true, encoding: .utf8)
        #expect(try Settings.secret("TGPIPE_TEST_ABSENT", file: folder("full"), what: "word") == "two")
        #expect(try Settings.passphrase("TGPIPE_TEST_ABSENT", file: folder("full"), what: "phrase") == "  two words")
        for name in ["empty", "missing", "."] {
            let error = #expect(throws: ToolError.self) {
                try Settings.secret("TGPIPE_TEST_ABSENT", file: folder(name), what: "word")
            }
            #expect(error?.exitStatus == .configuration && error?.message.contains(folder(name)) == true)
        }
        #expect(throws: ToolError.self) {
            try Settings.passphrase("TGPIPE_TEST_ABSENT", file: folder("empty"), what: "phrase")
        }
    }

    @Test func `A secret that is not set is missing`() {
        #expect(Settings.takeSecret("TGPIPE_TEST_ABSENT") == nil)
        #expect(throws: ToolError.self) { try Settings.secret("TGPIPE_TEST_ABSENT", file: nil, what: "word") }
    }
}
