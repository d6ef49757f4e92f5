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
    func whatMayPassIsTriedAgain(_ status: ExitStatus) {
        guard case .fail("no", .seconds(7), true) = QueueFailure(Failing(exitStatus: status, retryAfter: .seconds(7)))
        else {
            Issue.record("status \(status)")
            return
        }
    }

    @Test(arguments: [ExitStatus.malformedInput, .usage, .no])
    func whatNeverWillIsNot(_ status: ExitStatus) {
        guard case .fail(_, nil, false) = QueueFailure(Failing(exitStatus: status)) else {
            Issue.record("status \(status)")
            return
        }
    }

    @Test(arguments: [ExitStatus.configuration, .authenticationRefused, .localIO])
    func whatIsNoFaultOfTheEventEndsTheTool(_ status: ExitStatus) {
        guard case .end(let countsAttempt, _) = QueueFailure(Failing(exitStatus: status)) else {
            Issue.record("status \(status)")
            return
        }
        #expect(countsAttempt == (status == .localIO))
    }

    @Test func aCancellationUsesUpNoAttempt() {
        guard case .end(false, _) = QueueFailure(CancellationError()) else {
            Issue.record("it counts")
            return
        }
    }

    @Test func pausesAreRandomUpToALimitThatDoublesToABound() throws {
        let options = try QueueOptions.parse(["--backoff", "1s", "--max-backoff", "10s"])
        for (attempt, limit) in [(1, 1.0), (2, 2), (3, 4), (4, 8), (5, 10), (1000, 10)] {
            let pauses = (0..<50).map { _ in options.pause(after: attempt) }
            #expect(pauses.allSatisfy { $0 >= .zero && $0 <= .seconds(limit) })
            #expect(Set(pauses).count > 10)
        }
    }

    @Test(arguments: [["--from", "queue:"], ["--from", "queue:a b"], ["--lease", "1ms"], ["--max-attempts", "0"]])
    func whatCannotBeMeantIsRefused(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try InputOptions.parse(arguments) }
    }
}
