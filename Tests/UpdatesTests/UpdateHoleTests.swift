import JSON
import Testing

@testable import Updates

@Suite struct UpdateHoleTests {
    @Test func `A difference that is too long leaves a hole up to the newest known message`() {
        var machine = Machine()
        machine.hear(new(1, pts: 1), new(2, pts: 2))
        #expect(machine.sequencer.holes.take() == [])
        machine.receive(["_": "updatesTooLong"])
        machine.answer(.difference, ["_": "updates.differenceTooLong", "pts": 90])
        #expect(machine.sequencer.holes.take() == [UpdateHole(chatID: nil, to: 2, reason: .tooLong)])
        #expect(machine.sequencer.holes.take() == [])
    }

    @Test func `A channel's difference that is too long leaves a hole in the channel`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5, "pts": 900])
        machine.answer(
            .channelDifference(5),
            ["_": "updates.channelDifferenceTooLong", "dialog": ["pts": 900, "top_message": 80], "messages": []])
        #expect(
            machine.sequencer.holes.take() == [
                UpdateHole(chatID: -1_000_000_000_005, to: 3, reason: .tooLong, pts: 900)
            ])
    }

    @Test func `A message from the history has the position at which it was read`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5, "pts": 900])
        machine.answer(
            .channelDifference(5),
            ["_": "updates.channelDifferenceTooLong", "dialog": ["pts": 900, "top_message": 80], "messages": []])
        #expect(machine.request == .history(channel: 5, after: 3))
        let read = machine.sequencer.answer(
            .history(channel: 5, after: 3), history([5, 4], pts: 901), at: machine.now)
        #expect(read.map(\.readAtPTS) == [901, 901])
    }

    @Test func `A channel whose updates Telegram refuses has a hole without an end`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5, "pts": 14])
        machine.take(
            machine.sequencer.refuse(.channelDifference(5), areNumbersUnknown: false, at: machine.now))
        #expect(machine.sequencer.holes.take() == [UpdateHole(chatID: -1_000_000_000_005, to: nil, reason: .refused)])
    }
}
