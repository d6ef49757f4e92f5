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

    @Test func `A helper program sees only the few harmless variables of the environment, and its own folder`() {
        setenv("TGPIPE_TEST_SECRET", "word", 1)
        setenv("PYTHONPATH", "/anywhere", 1)
        setenv("LC_TEST", "word", 1)
        defer { for name in ["TGPIPE_TEST_SECRET", "PYTHONPATH", "LC_TEST"] { unsetenv(name) } }
        let variables = HelperEnvironment.variables(home: "/job")
        #expect(variables["TGPIPE_TEST_SECRET"] == nil)
        #expect(variables["PYTHONPATH"] == nil)
        #expect(variables["LC_TEST"] == "word")
        #expect(variables["HOME"] == "/job" && variables["TMPDIR"] == "/job")
        #expect(variables["PATH"] != nil)
    }
}
