import ArgumentParser
import Options
@testable import Stage
import System
import enum System.ExitStatus
import Testing

@Suite struct QueueFailureTests {
    private struct Failing: ReportableError {
        let exitStatus: ExitStatus
        let message = "no"
        var retryAfter: Duration?
    }

    @Test(arguments: [ExitStatus.unavailable, .tryAgain, .protocolBroken, .bug])
    func `Transient failures are retried`(_ status: ExitStatus) {
        guard case .fail("no", .seconds(7), true) = QueueFailure(Failing(exitStatus: status, retryAfter: .seconds(7)))
        else {
            Issue.record("status \(status)")
            return
        }
    }

    @Test(arguments: [ExitStatus.malformedInput, .usage, .no])
    func `Permanent failures are not retried`(_ status: ExitStatus) {
        guard case .fail(_, nil, false) = QueueFailure(Failing(exitStatus: status)) else {
            Issue.record("status \(status)")
            return
        }
    }

    @Test(arguments: [ExitStatus.configuration, .authenticationRefused, .localIO])
    func `Failures that the event did not cause end the tool`(_ status: ExitStatus) {
        guard case .end(let countsAttempt, _) = QueueFailure(Failing(exitStatus: status)) else {
            Issue.record("status \(status)")
            return
        }
        #expect(countsAttempt == (status == .localIO))
    }

    @Test func `A cancellation uses up no attempt`() {
        guard case .end(false, _) = QueueFailure(CancellationError()) else {
            Issue.record("it counts")
            return
        }
    }

    @Test func `Retry delays are random up to a bound that doubles to a maximum`() throws {
        let options = try QueueOptions.parse(["--backoff", "1s", "--max-backoff", "10s"])
        for (attempt, limit) in [(1, 1.0), (2, 2), (3, 4), (4, 8), (5, 10), (1000, 10)] {
            let pauses = (0..<50).map { _ in options.pause(after: attempt) }
            #expect(pauses.allSatisfy { $0 >= .zero && $0 <= .seconds(limit) })
            #expect(Set(pauses).count > 10)
        }
    }

    @Test(arguments: [["--from", "queue:"], ["--from", "queue:a b"], ["--lease", "1ms"], ["--max-attempts", "0"]])
    func `Contradictory options are refused`(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try InputOptions.parse(arguments) }
    }
}
