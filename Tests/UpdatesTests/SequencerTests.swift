import JSON
import Testing

@testable import Updates

@Suite struct SequencerTests {
    @Test func `A new account starts at Telegram's state and emits no old update`() {
        var machine = Machine(nil)
        machine.answer(.state, ["_": "updates.state", "pts": 0, "qts": 0, "date": 1000, "seq": 1, "unread_count": 0])
        machine.answer(.dialogs(DialogOffset()), ["_": "messages.dialogs", "dialogs": []])
        #expect(machine.request == nil && machine.state.common.pts == 0)
        machine.hear(new(1, pts: 1))
        #expect(machine.texts == ["m1"] && machine.state.common.pts == 1)
    }

    @Test func `At the start only the difference counts`() {
        var sequencer = UpdateSequencer(state: UpdateState(pts: 7, qts: 0, date: 1, seq: 1), own: 42, isBot: false)
        #expect(sequencer.nextRequest(at: .zero) == .difference)
    }

    @Test func `Updates are applied in order and each once`() {
        var machine = Machine()
        machine.hear(new(1, pts: 1), new(2, pts: 2))
        machine.hear(new(2, pts: 2))
        machine.hear(new(4, pts: 4))
        #expect(machine.request == nil)
        machine.hear(new(3, pts: 3))
        #expect(machine.texts == ["m1", "m2", "m3", "m4"])
        machine.pass(.seconds(1))
        #expect(machine.request == nil)
    }

    @Test func `A gap is waited for half a second, then the difference is requested`() {
        var machine = Machine()
        machine.hear(new(3, pts: 3))
        machine.pass(.milliseconds(499))
        #expect(machine.request == nil && machine.sequencer.deadline == machine.now + .milliseconds(1))
        machine.pass(.milliseconds(1))
        machine.answer(.difference, difference(1...3, pts: 3))
        #expect(machine.texts == ["m1", "m2", "m3"] && machine.request == nil)
    }

    @Test func `Held updates follow the difference when they are newer`() {
        var machine = Machine()
        machine.hear(new(3, pts: 3), new(5, pts: 5))
        machine.pass(.seconds(1))
        machine.answer(.difference, difference(1...4, pts: 4))
        #expect(machine.texts == ["m1", "m2", "m3", "m4", "m5"] && machine.request == nil)
    }

    @Test func `Slices are requested to the last one with the date from before the first`() {
        var machine = Machine()
        machine.receive(["_": "updatesTooLong"])
        machine.answer(.difference, difference(1...2, pts: 2, isSlice: true))
        #expect(machine.state.common.pts == 2 && machine.state.date == 1000)
        machine.answer(.difference, difference(3...4, pts: 4))
        #expect(machine.texts == ["m1", "m2", "m3", "m4"] && machine.state.date == 2000 && machine.request == nil)
    }

    @Test func `A page that a kill interrupted is not emitted twice`() {
        var machine = Machine()
        machine.receive(["_": "updatesTooLong"])
        let page = difference(1...4, pts: 4)
        let first = machine.sequencer.answer(.difference, page, at: machine.now)
        // The process ends when two of them have been kept.
        let text = first[1].state.json.text
        var again = Machine(nil)
        again.sequencer = UpdateSequencer(
            state: (try? JSON(parsing: text)).flatMap { UpdateState($0) }, own: 42, isBot: false)
        again.answer(.difference, page)
        #expect(again.texts == ["m3", "m4"])
        #expect(again.state.common.pts == 4 && again.state.common.ahead.isEmpty)
        #expect(first.last?.state == again.state)
    }

    @Test func `A difference that is too long is replaced by the messages behind the newest`() {
        var machine = Machine()
        machine.hear(new(1, pts: 1))
        machine.receive(["_": "updatesTooLong"])
        machine.answer(.difference, ["_": "updates.differenceTooLong", "pts": 90])
        machine.answer(
            .messages(after: 1),
            .object([
                "_": "messages.messages", "chats": [], "users": [],
                "messages": [message(2), ["_": "messageEmpty", "id": 3], message(4)],
            ]))
        machine.answer(.messages(after: 4), ["_": "messages.messages", "messages": [], "chats": [], "users": []])
        machine.answer(.difference, difference(4...5, pts: 92))
        #expect(machine.texts == ["m1", "m2", "m4", "m5"] && machine.request == nil)
    }

    @Test func `The difference is requested after 15 minutes of silence`() {
        var machine = Machine()
        machine.pass(.seconds(899))
        #expect(machine.request == nil)
        machine.pass(.seconds(1))
        #expect(machine.request == .difference)
    }

    @Test func `A gap in the seq of updates without pts is requested, also while others arrive`() {
        var machine = Machine()
        machine.receive(["_": "updates", "updates": [], "chats": [], "users": [], "date": 1, "seq": 3])
        machine.hear(new(1, pts: 1))
        machine.pass(.milliseconds(500))
        #expect(machine.request == .difference)
    }

    @Test func `Secret chats are counted and not emitted`() {
        var machine = Machine()
        machine.hear(["_": "updateNewEncryptedMessage", "message": ["_": "encryptedMessage"], "qts": 1])
        #expect(machine.state.qts == 1 && machine.texts.isEmpty && machine.request == nil)
        machine.hear(["_": "updateNewEncryptedMessage", "message": ["_": "encryptedMessage"], "qts": 3])
        machine.pass(.milliseconds(500))
        #expect(machine.request == .difference)
    }

    @Test func `More than a thousand held updates are dropped for a difference`() {
        var machine = Machine()
        for pts in Int64(2)...1200 { machine.hear(new(pts, pts: pts)) }
        #expect(machine.request == .difference)
    }
}

@Suite struct HostileUpdateTests {
    @Test(arguments: [Int64.min, -1, Int64(Int32.max), Int64(Int32.max) + 1, Int64.max])
    func `Extreme numbers do not crash the sequencer`(_ number: Int64) {
        var machine = Machine(withChannel)
        machine.hear(
            new(number, pts: number, count: number), new(number, pts: number, count: 1, channel: number),
            new(1, pts: 1, count: number), new(4, pts: number, count: 1, channel: 5),
            .object(["_": "updateChannelTooLong", "channel_id": .integer(number), "pts": .integer(number)]),
            .object(["_": "updateNewEncryptedMessage", "qts": .integer(number)]))
        machine.receive(
            .object([
                "_": "updatesCombined", "updates": [], "seq_start": .integer(number), "seq": .integer(number),
                "date": .integer(number),
            ]))
        machine.pass(.seconds(1))
        let result: JSON = .object([
            "_": "updates.channelDifference", "pts": .integer(number), "final": true, "count": .integer(number),
            "dialog": .object(["pts": .integer(number)]), "state": .object(["pts": .integer(number)]),
            "messages": [message(number, channel: 5)], "new_messages": [message(number, channel: 5)],
            "dialogs": [.object(["top_message": .integer(number), "peer": ["_": "peerUser", "user_id": 1]])],
        ])
        let kinds = [
            "updates.difference", "updates.differenceTooLong", "updates.channelDifference",
            "updates.channelDifferenceTooLong", "messages.dialogsSlice", "messages.channelMessages",
        ]
        for kind in kinds {
            var answer = result.object ?? [:]
            answer["_"] = .string(kind)
            for _ in 0..<3 {
                // A request whose answer was of no use is postponed.
                machine.pass(.seconds(60))
                guard let request = machine.request else { break }
                machine.take(machine.sequencer.answer(request, .object(answer), at: machine.now))
                _ = machine.sequencer.state.map { request.call($0) }
            }
        }
        #expect(UpdateState(machine.state.json) != nil)
    }
}

@Suite struct ShortFormTests {
    @Test func `A short update becomes a message when its peers are known`() {
        var machine = Machine()
        var peers = Peers()
        #expect(machine.sequencer.mentioned(in: short(1, pts: 1)) == [77, 77])
        peers.insert(["_": "user", "id": 77])
        machine.take(machine.sequencer.receive(short(1, pts: 1), peers: peers, at: machine.now))
        #expect(machine.texts == ["m1"] && machine.request == nil)
    }

    @Test func `A short update of unknown peers causes a difference request`() {
        var machine = Machine()
        machine.receive(short(1, pts: 1))
        #expect(machine.texts.isEmpty && machine.state.common.pts == 0)
        machine.answer(.difference, difference(1...1, pts: 1))
        #expect(machine.texts == ["m1"])
    }

    @Test func `A short update of the account's own message causes a difference request`() {
        var machine = Machine()
        machine.receive([
            "_": "updateShortSentMessage", "out": true, "id": 1, "pts": 1, "pts_count": 1, "date": 1000,
        ])
        machine.answer(.difference, difference(1...1, pts: 1))
        #expect(machine.texts == ["m1"])
    }
}

@Suite struct ChannelTests {
    @Test func `Each channel has its own pts`() {
        var machine = Machine(withChannel)
        machine.hear(new(4, pts: 11, channel: 5), new(1, pts: 1))
        #expect(machine.texts == ["m4", "m1"] && machine.state.channels[5]?.newest == 4)
        machine.hear(new(6, pts: 13, channel: 5))
        machine.pass(.milliseconds(500))
        machine.answer(.channelDifference(5), channelDifference(5...6, pts: 13))
        #expect(machine.texts == ["m4", "m1", "m5", "m6"] && machine.request == nil)
    }

    @Test func `A channel's difference comes in parts`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5, "pts": 14])
        machine.answer(.channelDifference(5), channelDifference(4...5, pts: 12, isFinal: false))
        machine.answer(.channelDifference(5), channelDifference(6...7, pts: 14))
        #expect(machine.texts == ["m4", "m5", "m6", "m7"] && machine.request == nil)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5, "pts": 14])
        #expect(machine.request == nil)
    }

    @Test func `Messages that a channel's difference omits come from its history`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5])
        machine.answer(
            .channelDifference(5),
            .object([
                "_": "updates.channelDifferenceTooLong", "final": true, "dialog": ["_": "dialog", "pts": 90],
                "messages": [message(9, channel: 5)], "chats": [], "users": [],
            ]))
        machine.hear(new(10, pts: 91, channel: 5))
        machine.answer(.history(channel: 5, after: 3), history([6, 5, 4]))
        machine.answer(.history(channel: 5, after: 6), history([10, 9]))
        machine.answer(.history(channel: 5, after: 10), history([]))
        machine.answer(.channelDifference(5), channelDifference(10...11, pts: 92))
        #expect(machine.texts == ["m4", "m5", "m6", "m9", "m10", "m11"] && machine.request == nil)
    }

    @Test func `A backfill interrupted by a kill resumes after the emitted messages`() {
        var interrupted = Machine(withChannel).state
        interrupted.channels[5]?.isBehind = true
        let state = UpdateState(interrupted.json)
        var again = UpdateSequencer(state: state, own: 42, isBot: false)
        _ = again.answer(.difference, ["_": "updates.differenceEmpty", "date": 1, "seq": 1], at: .zero)
        #expect(again.nextRequest(at: .zero) == .history(channel: 5, after: 3))
    }

    @Test func `A new channel is read from the time of the first start`() {
        var machine = Machine()
        machine.hear(new(8, pts: 20, channel: 5))
        machine.answer(.boundary(channel: 5, date: 1000), history([6], pts: 20, date: 999))
        machine.answer(.history(channel: 5, after: 6), history([8, 7]))
        machine.answer(.history(channel: 5, after: 8), history([]))
        machine.answer(.channelDifference(5), ["_": "updates.channelDifferenceEmpty", "final": true, "pts": 20])
        #expect(machine.texts == ["m7", "m8"] && machine.request == nil)
    }

    /// Some servers ignore the date of the request.
    @Test(arguments: [([8, 7, 6, 5], 6), ([8, 7], 6), ([], 0)] as [([Int64], Int64)])
    func `The first messages of a channel that was never seen are not taken for old`(_ ids: [Int64], _ after: Int64) {
        var machine = Machine()
        machine.hear(new(8, pts: 20, channel: 5))
        let answer: JSON = .object([
            "_": "messages.channelMessages", "pts": 20, "count": 4, "chats": [], "users": [],
            "messages": .array(
                ids.map { id in
                    var message = message(id, channel: 5).object ?? [:]
                    message["date"] = id > 6 ? 1001 : 999
                    return .object(message)
                }),
        ])
        machine.answer(.boundary(channel: 5, date: 1000), answer)
        #expect(machine.request == .history(channel: 5, after: after))
    }

    @Test func `Pending channel differences are requested after a restart`() {
        var machine = Machine(withChannel)
        machine.receive(["_": "updatesTooLong"])
        let hint: JSON = ["_": "updateChannelTooLong", "channel_id": 5, "pts": 12]
        machine.answer(.difference, difference(1...1, pts: 1, hint))
        var again = UpdateSequencer(state: UpdateState(machine.state.json), own: 42, isBot: false)
        _ = again.answer(.difference, ["_": "updates.differenceEmpty", "date": 1, "seq": 1], at: .zero)
        #expect(again.nextRequest(at: .zero) == .channelDifference(5))
    }

    @Test func `The channels' positions are read at the first start`() {
        var machine = Machine(nil)
        machine.answer(.state, ["_": "updates.state", "pts": 0, "qts": 0, "date": 1000, "seq": 1, "unread_count": 0])
        let page: JSON = .object([
            "_": "messages.dialogsSlice", "count": 2, "messages": [message(3, channel: 5), message(3)],
            "dialogs": [
                .object([
                    "_": "dialog", "peer": ["_": "peerChannel", "channel_id": 5], "top_message": 3, "pts": 10,
                ]), .object(["_": "dialog", "peer": ["_": "peerUser", "user_id": 77], "top_message": 3]),
            ],
        ])
        machine.answer(.dialogs(DialogOffset()), page)
        let next = DialogOffset(date: 1000, id: 3, peer: .integer(77), page: 1)
        machine.answer(.dialogs(next), ["_": "messages.dialogsSlice", "count": 2, "messages": [], "dialogs": []])
        #expect(machine.request == nil)
        machine.hear(new(4, pts: 11, channel: 5))
        #expect(machine.texts == ["m4"] && machine.request == nil)
    }

    @Test func `A channel that is no longer accessible is left alone`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5])
        machine.take(machine.sequencer.refuse(.channelDifference(5), areNumbersUnknown: false, at: machine.now))
        #expect(machine.request == nil && machine.state.channels[5]?.pts == 10)
    }

    @Test func `Live updates are applied when Telegram does not return the missing ones before them`() {
        var machine = Machine()
        machine.hear(new(8, pts: 20, channel: 5), new(9, pts: 21, channel: 5))
        let request = UpdateRequest.boundary(channel: 5, date: 1000)
        machine.take(machine.sequencer.refuse(request, areNumbersUnknown: false, at: machine.now))
        #expect(machine.texts == ["m8", "m9"] && machine.request == nil && machine.state.channels[5]?.pts == 21)
    }

    @Test func `A position that Telegram does not know is requested anew and no update is emitted twice`() {
        var machine = Machine(withChannel)
        machine.hear(["_": "updateChannelTooLong", "channel_id": 5])
        machine.take(machine.sequencer.refuse(.channelDifference(5), areNumbersUnknown: true, at: machine.now))
        machine.answer(.boundary(channel: 5, date: 1000), history([1], pts: 4))
        machine.answer(.history(channel: 5, after: 3), history([4]))
        machine.answer(.history(channel: 5, after: 4), history([]))
        machine.answer(.channelDifference(5), ["_": "updates.channelDifferenceEmpty", "final": true, "pts": 4])
        #expect(machine.texts == ["m4"] && machine.request == nil)
    }

    @Test func `A position beyond Telegram's count is not requested without end`() {
        var machine = Machine(withChannel)
        machine.hear(new(1, pts: 1_000_000), new(8, pts: 1_000_000, channel: 5))
        for _ in 0..<2 {
            machine.pass(.milliseconds(500))
            machine.answer(.difference, ["_": "updates.differenceEmpty", "date": 1000, "seq": 1])
            machine.answer(.channelDifference(5), ["_": "updates.channelDifferenceEmpty", "final": true, "pts": 10])
        }
        machine.pass(.seconds(5))
        #expect(machine.request == nil && machine.texts.isEmpty)
        machine.hear(new(1, pts: 1), new(4, pts: 11, channel: 5))
        #expect(machine.texts == ["m1", "m4"])
    }

    @Test func `Repeatedly refused requests are made at growing intervals`() {
        var machine = Machine()
        machine.hear(new(1, pts: 1))
        machine.sequencer.noteGap(at: machine.now)
        var asked = 0
        let end = machine.now + .seconds(600)
        while machine.now < end {
            switch machine.request {
            case .difference:
                asked += 1
                machine.take(
                    machine.sequencer.refuse(.difference, areNumbersUnknown: true, at: machine.now))
            case .state:
                machine.answer(
                    .state, ["_": "updates.state", "pts": 1, "qts": 0, "date": 1000, "seq": 1, "unread_count": 0])
            case .messages(let id): machine.answer(.messages(after: id), history([]))
            default: machine.pass(.milliseconds(250))
            }
            if asked > 1000 { break }
        }
        #expect((10...50).contains(asked))
        machine.hear(new(2, pts: 2))
        #expect(machine.texts == ["m1", "m2"])
    }

    @Test func `A bot starts with a channel's first message`() {
        var sequencer = UpdateSequencer(state: UpdateState(pts: 0, qts: 0, date: 1, seq: 1), own: 1, isBot: true)
        _ = sequencer.answer(.difference, ["_": "updates.differenceEmpty", "date": 1, "seq": 1], at: .zero)
        let first = sequencer.receive(
            .object(["_": "updateShort", "update": new(8, pts: 20, channel: 5), "date": 1]), at: .zero)
        #expect(first.count == 1 && sequencer.state?.channels[5]?.pts == 20)
    }
}
