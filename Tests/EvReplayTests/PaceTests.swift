import JSON
import Testing

@testable import ev_replay

@Suite struct PaceTests {
    private func due(_ seconds: [Double?], speed: Double? = 1, maxGap: Duration = .seconds(3600)) -> [Double] {
        var pace = Pace(speed: speed, maxGap: maxGap)
        return seconds.map { Double(pace.due($0.map { Timestamp(seconds: $0) })) / 1e9 }
    }

    @Test func `Events are due at the recorded distance from the first, divided by the speed`() {
        #expect(due([100, 101, 101, 105]) == [0, 1, 1, 5])
        #expect(due([100, 101, 105], speed: 10) == [0, 0.1, 0.5])
        #expect(due([100, 101, 105], speed: nil) == [0, 0, 0])
    }

    @Test func `Times that go back a little make no wait, and add none later`() {
        #expect(due([100, 102, 101, 103]) == [0, 2, 2, 3])
    }

    @Test func `A clock that was set back makes no wait, and the distances after it count`() {
        #expect(due([1_000_000, 1_000_001, 5, 6, 8]) == [0, 1, 1, 2, 4])
    }

    @Test func `Long gaps are shortened, and events without a time come at once`() {
        #expect(due([nil, 0, nil, 1_000_000, 1_000_001], maxGap: .seconds(10)) == [0, 0, 0, 10, 11])
        var pace = Pace(speed: 1, maxGap: .seconds(10))
        for time in [0.0, 100, 200] { _ = pace.due(Timestamp(seconds: time)) }
        #expect(pace.shortened == 2)
    }

    @Test func `The widest times and the slowest speed do not overflow`() throws {
        let ends = try ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"].map { try #require(Timestamp($0)) }
        var pace = Pace(speed: 0.001, maxGap: .seconds(3_155_760_000))
        var last: Int64 = 0
        for _ in 0..<5000 {
            for time in ends {
                let due = pace.due(time)
                #expect(due >= last)
                last = due
            }
        }
        #expect(last == .max)
    }

    @Test func `Speeds, moments and beginnings of ids are read, and others refused`() {
        #expect(ReplaySpeed(argument: "max")?.factor == nil && ReplaySpeed(argument: "max") != nil)
        #expect(ReplaySpeed(argument: "2.5")?.factor == 2.5)
        for text in ["0", "-1", "nan", "inf", "1e9", "fast", ""] { #expect(ReplaySpeed(argument: text) == nil) }
        #expect(CorrelationPrefix(argument: "0191E0A0-00")?.text == "0191e0a0-00")
        for text in ["019", "xyz1", String(repeating: "0", count: 37)] {
            #expect(CorrelationPrefix(argument: text) == nil)
        }
        #expect(Moment(argument: "yesterday") == nil)
        #expect(Moment(argument: "90s")?.time(start: Timestamp(seconds: 5)) == Timestamp(seconds: 95))
    }
}
