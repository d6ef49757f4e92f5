import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests what tg-send says about events that have no effect, or less than their writer may have wanted.
@Suite(.timeLimit(.minutes(3))) struct SendWarningTests {
    @Test func `A misspelled command or key gets a warning with what was meant`() async throws {
        let here = try SendFixture(clipBytes: 10)
        try await here.meet(42...42)
        let run = try here.run("tg-send", [])
        for event in [
            here.event("commands.telegram.sned", ["text": "lost"], chat: 42),
            here.event("commands.telegram.send", ["text": "sent", "tread_id": 7, "sillent": true], chat: 42),
            here.event("commands.telegram.sned", ["text": "lost"], chat: 42),
        ] { run.send(event.line) }
        run.closeInput()
        let result = try await run.result()
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("did you mean commands.telegram.send"), "\(result.errors)")
        #expect(result.errors.components(separatedBy: "unknown command commands.telegram.sned").count == 2)
        #expect(result.errors.contains("tread_id; did you mean thread_id"))
        #expect(result.errors.contains("sillent; did you mean silent"))
        #expect(try await here.telegram.answers(in: 42).map(\.text) == ["sent"])
    }
}
