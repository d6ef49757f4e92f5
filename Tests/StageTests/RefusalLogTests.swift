import JSON
@testable import Stage
import Testing

@Suite struct RefusalLogTests {
    @Test func `The first refusals of a kind are logged and later ones are counted`() {
        var log = RefusalLog()
        let now = ContinuousClock.now
        let told = (0..<1000).filter { _ in log.add(.notJSON, at: now).isLogged }
        #expect(told == Array(0..<RefusalLog.loggedInFull))
        #expect(log.add(.notUTF8, at: now).isLogged)
        #expect(log.unlogged.map(\.code) == [.notJSON])
        #expect(log.unlogged.map(\.counted) == [1000 - RefusalLog.loggedInFull])
    }

    @Test func `After an interval refusals are logged again with the count`() {
        var log = RefusalLog()
        let start = ContinuousClock.now
        for _ in 0..<100 { _ = log.add(.notJSON, at: start) }
        let next = log.add(.notJSON, at: start + RefusalLog.window)
        #expect(next.isLogged && next.counted == 100 - RefusalLog.loggedInFull)
        #expect(log.unlogged.isEmpty)
    }
}
