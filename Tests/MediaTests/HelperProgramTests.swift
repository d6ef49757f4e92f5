import Glibc
import Process
import Testing

@testable import Media

@Suite("A helper program")
struct HelperProgramTests {
    @Test func `A helper program that is not installed is an error that names it`() async {
        let run = ChildRun(Command("no-such-program"), timeout: .seconds(30))
        let error = await #expect(throws: MediaError.self) { try await run.runHelper() }
        #expect(error?.code == .missingProgram)
        #expect(error?.reason == "no-such-program is not installed here.")
    }

    @Test func `A helper program that is cancelled is an error`() async throws {
        let task = Task { try await ChildRun(Command("sleep", ["600"]), timeout: .seconds(30)).runHelper() }
        try await Task.sleep(for: .milliseconds(100))
        task.cancel()
        let error = await #expect(throws: MediaError.self) { try await task.value }
        #expect(error?.code == .cancelled)
    }

    @Test func `A helper program sees only harmless variables of the environment`() {
        setenv("TGPIPE_TEST_SECRET", "word", 1)
        setenv("YTDLP_TEST", "word", 1)
        #expect(HelperEnvironment.inherited()["TGPIPE_TEST_SECRET"] == nil)
        #expect(HelperEnvironment.inherited()["YTDLP_TEST"] == "word")
    }
}
