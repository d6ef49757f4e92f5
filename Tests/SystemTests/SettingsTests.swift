import Glibc
import System
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

    @Test func `A secret that is not set is missing`() {
        #expect(Settings.takeSecret("TGPIPE_TEST_ABSENT") == nil)
        #expect(throws: ToolError.self) { try Settings.secret("TGPIPE_TEST_ABSENT", file: nil, what: "word") }
    }
}
