import JSON
import Logging
import System
import Testing
import Tracing

@Suite struct LastErrorTests {
    @Test func `The last error is kept in one line, without secrets, and lesser lines are not`() {
        let last = LastError()
        KnownSecrets.remember("last-error-secret")
        func write(_ level: Logger.Level, _ message: String) {
            last.write(LogRecord(level: level, message: message, tool: "t", correlationID: nil, metadata: [:]))
        }
        write(.warning, "slow")
        #expect(last.latest == nil)
        write(.error, "first")
        write(.critical, "with last-error-secret\nand more" + String(repeating: "x", count: 1000))
        write(.info, "fine")
        #expect(last.latest?.message.hasPrefix("with [secret] and morexxx") == true)
        #expect(last.latest?.message.count == 300)
    }
}
