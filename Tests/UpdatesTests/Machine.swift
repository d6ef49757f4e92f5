import JSON
import Testing

@testable import Updates

/// A sequencer with a clock of its own, and the messages that it emitted.
struct Machine {
    var sequencer: UpdateSequencer
    var now = Duration.seconds(100)
    /// The texts of the emitted messages, in order.
    var texts: [String] = []

    init(_ state: UpdateState? = UpdateState(pts: 0, qts: 0, date: 1000, seq: 1)) {
        sequencer = UpdateSequencer(state: state, own: 42, isBot: false)
        guard state != nil else { return }
        answer(.difference, ["_": "updates.differenceEmpty", "date": 1000, "seq": 1])
    }

    mutating func take(_ emissions: [Emission]) {
        texts += emissions.compactMap { $0.update["message"]?["message"]?.string }
    }

    mutating func receive(_ updates: JSON) { take(sequencer.receive(updates, at: now)) }

    mutating func hear(_ updates: JSON...) {
        receive(.object(["_": "updates", "updates": .array(updates), "date": 1000, "seq": 0]))
    }

    mutating func answer(_ request: UpdateRequest, _ result: JSON) {
        #expect(sequencer.nextRequest(at: now) == request)
        take(sequencer.answer(request, result, at: now))
    }

    mutating func pass(_ time: Duration) { now += time }

    var request: UpdateRequest? {
        var copy = sequencer
        return copy.nextRequest(at: now)
    }

    var state: UpdateState { sequencer.state ?? UpdateState(pts: -1, qts: 0, date: 0, seq: 0) }
}

func message(_ id: Int64, channel: Int64? = nil, date: Int64 = 1000) -> JSON {
    let peer: JSON =
        channel.map { .object(["_": "peerChannel", "channel_id": .integer($0)]) } ?? [
            "_": "peerUser", "user_id": 77,
        ]
    return .object([
        "_": "message", "id": .integer(id), "peer_id": peer, "date": .integer(date), "message": .string("m\(id)"),
    ])
}

func new(_ id: Int64, pts: Int64, count: Int64 = 1, channel: Int64? = nil) -> JSON {
    .object([
        "_": channel == nil ? "updateNewMessage" : "updateNewChannelMessage", "message": message(id, channel: channel),
        "pts": .integer(pts), "pts_count": .integer(count),
    ])
}

func short(_ id: Int64, pts: Int64) -> JSON {
    .object([
        "_": "updateShortMessage", "id": .integer(id), "user_id": 77, "message": .string("m\(id)"),
        "pts": .integer(pts), "pts_count": 1, "date": 1000,
    ])
}

func difference(_ ids: ClosedRange<Int64>, pts: Int64, isSlice: Bool = false, _ other: JSON...) -> JSON {
    .object([
        "_": isSlice ? "updates.differenceSlice" : "updates.difference",
        "new_messages": .array(ids.map { message($0) }),
        "new_encrypted_messages": [], "other_updates": .array(other), "chats": [], "users": [],
        isSlice ? "intermediate_state" : "state": .object([
            "_": "updates.state", "pts": .integer(pts), "qts": 0, "date": 2000, "seq": 1, "unread_count": 0,
        ]),
    ])
}

func channelDifference(_ ids: ClosedRange<Int64>, pts: Int64, isFinal: Bool = true) -> JSON {
    .object([
        "_": "updates.channelDifference", "final": isFinal ? true : nil, "pts": .integer(pts),
        "new_messages": .array(ids.map { message($0, channel: 5) }), "other_updates": [], "chats": [],
        "users": [],
    ])
}

func history(_ ids: [Int64], pts: Int64 = 1, date: Int64 = 1000) -> JSON {
    .object([
        "_": "messages.channelMessages", "pts": .integer(pts), "count": 100,
        "messages": .array(ids.map { message($0, channel: 5, date: date) }), "chats": [], "users": [],
    ])
}

var withChannel: UpdateState {
    var state = UpdateState(pts: 0, qts: 0, date: 1000, seq: 1)
    state.channels[5] = BoxState(pts: 10)
    state.channels[5]?.newest = 3
    return state
}
