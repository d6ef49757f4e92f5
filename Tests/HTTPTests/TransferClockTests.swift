import Testing

@testable import HTTP

@Suite struct TransferClockTests {
    /// A slow receiver is not the fault of the server.
    @Test(arguments: [true, false])
    func `The time in which the receiver takes no bytes does not count`(_ isBlocked: Bool) async throws {
        let rate = HTTPRequest.MinimumRate(bytesPerSecond: 1000, over: .seconds(1))
        var clock = TransferClock(stallTimeout: .seconds(2), deadline: nil, minimumRate: rate)
        clock.start()
        #expect(clock.check(activity: 1) == .goOn)
        if isBlocked { clock.leaveOut(.seconds(100)) }
        try await Task.sleep(for: .milliseconds(1200))
        #expect(clock.check(activity: 2) == (isBlocked ? .goOn : .tooSlow))
    }
}
