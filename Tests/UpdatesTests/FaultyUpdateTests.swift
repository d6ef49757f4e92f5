import JSON
import Testing

@testable import Updates

/// Content that cannot be understood is never dropped without a request for what it may have held.
@Suite struct FaultyUpdateTests {
    @Test(
        arguments: [
            ["_": "updateShort", "date": 1000], ["_": "updates", "date": 1000, "seq": 0],
            ["_": "updatesCombined", "updates": "x"], ["_": "updateShortMessage", "id": 1],
            ["_": "updateShortMessage", "user_id": 77, "pts": 1, "pts_count": "x"],
            ["_": "updateShortSentMessage", "id": 1],
            ["_": "updates", "updates": [["_": "updateNewMessage", "pts": -1, "pts_count": 1]]], ["_": "unknown"], [1],
        ] as [JSON])
    func `A faulty update causes a difference request`(_ updates: JSON) {
        var machine = Machine()
        machine.receive(updates)
        machine.answer(.difference, difference(1...1, pts: 1))
        #expect(machine.texts == ["m1"] && machine.request == nil)
    }

    @Test func `A faulty update in a difference does not cause an endless loop`() {
        var machine = Machine()
        machine.receive(["_": "updatesTooLong"])
        machine.answer(.difference, difference(1...1, pts: 1, ["_": "updateNewMessage", "pts": -1, "pts_count": 1]))
        #expect(machine.texts == ["m1"] && machine.request == nil)
    }

    @Test(
        arguments: [
            ["_": "updates.difference", "new_messages": []], ["_": "updates.differenceTooLong"], ["_": "unknown"], [:],
        ] as [JSON])
    func `A faulty difference is requested again after a growing pause`(_ result: JSON) {
        var machine = Machine()
        machine.receive(["_": "updatesTooLong"])
        for pause in [1, 2, 4] {
            machine.answer(.difference, result)
            #expect(machine.request == nil && machine.sequencer.deadline == machine.now + .seconds(pause))
            machine.pass(.seconds(pause))
        }
        machine.answer(.difference, difference(1...1, pts: 1))
        #expect(machine.texts == ["m1"] && machine.request == nil)
    }

    @Test func `A faulty channel difference leaves the other boxes to their requests`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5])
        machine.answer(.channelDifference(5), ["_": "updates.channelDifference", "final": true])
        machine.receive(["_": "updatesTooLong"])
        machine.answer(.difference, difference(1...1, pts: 1))
        machine.pass(.seconds(1))
        machine.answer(.channelDifference(5), channelDifference(4...4, pts: 11))
        #expect(machine.texts == ["m1", "m4"] && machine.request == nil)
    }

    @Test func `A faulty history is not taken for its end`() {
        var state = withChannel
        state.channels[5]?.isBehind = true
        var machine = Machine(state)
        machine.answer(.history(channel: 5, after: 3), ["_": "messages.channelMessages"])
        #expect(machine.state.channels[5]?.isBehind == true)
        machine.pass(.seconds(1))
        machine.answer(.history(channel: 5, after: 3), history([4]))
        #expect(machine.texts == ["m4"])
    }

    @Test func `A faulty state is requested again after a pause`() {
        var machine = Machine(nil)
        machine.answer(.state, ["_": "updates.state"])
        #expect(machine.request == nil)
        machine.pass(.seconds(1))
        machine.answer(.state, ["_": "updates.state", "pts": 0, "qts": 0, "date": 1000, "seq": 1, "unread_count": 0])
        #expect(machine.state.date == 1000)
    }
}
