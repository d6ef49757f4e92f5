import Accounts
package import JSON

/// How far an account's updates have been taken: what a listener goes on from.
///
/// Source: https://core.telegram.org/api/updates
package struct UpdateState: Sendable, Equatable {
    /// Private chats, basic groups and all that has no channel of its own.
    package var common: BoxState
    /// By channel id, as MTProto counts them.
    package var channels: [Int64: BoxState]
    package var qts: Int64
    /// Seconds of the server's clock.
    package var date: Int64
    package var seq: Int64
    /// When the account was first listened to: nothing older is emitted.
    package var since: Int64

    package init(pts: Int64, qts: Int64, date: Int64, seq: Int64) {
        common = BoxState(pts: pts)
        channels = [:]
        (self.qts, self.date, self.seq, since) = (qts, date, seq, date)
    }

    /// Whether it is worth to be kept: that time passed alone is not.
    func isFurther(than other: UpdateState) -> Bool {
        var other = other
        other.date = date
        return self != other
    }

    package init?(_ json: JSON) {
        guard let common = json["common"].flatMap(BoxState.init), common.pts != nil, let qts = json["qts"]?.count31,
            let date = json["date"]?.count31, let seq = json["seq"]?.count31, let since = json["since"]?.count31
        else { return nil }
        var channels: [Int64: BoxState] = [:]
        for member in json["channels"]?.object?.members ?? [] {
            guard let id = Int64(member.key), let box = BoxState(member.value) else { return nil }
            channels[id] = box
        }
        (self.common, self.channels, self.qts) = (common, channels, qts)
        (self.date, self.seq, self.since) = (date, seq, since)
    }

    package var json: JSON {
        let channels = channels.sorted { $0.key < $1.key }.map { id, box in
            JSONObject.Member(key: "\(id)", value: box.json)
        }
        return .object([
            "common": common.json, "qts": .integer(qts), "date": .integer(date), "seq": .integer(seq),
            "since": .integer(since), "channels": .object(JSONObject(channels)),
        ])
    }

    subscript(_ box: BoxID) -> BoxState {
        get {
            switch box {
            case .common: common
            case .channel(let id): channels[id] ?? BoxState(pts: nil)
            }
        }
        set {
            switch box {
            case .common: common = newValue
            case .channel(let id): channels[id] = newValue
            }
        }
    }
}

/// What has a count of changes (pts) of its own.
package enum BoxID: Sendable, Hashable {
    case common
    case channel(Int64)

    /// As the Bot API writes a channel's id; nil for the common box.
    var chatID: Int64? {
        if case .channel(let id) = self { PeerID.channel(id).botAPI } else { nil }
    }
}

/// How far one box has been taken.
package struct BoxState: Sendable, Equatable {
    /// nil: never asked for. Zero is a count like any other: new accounts have it.
    package var pts: Int64?
    /// The highest message id that came; 0 when none did.
    package var newest: Int64 = 0
    /// Messages up to this id came from the history, and may still be announced.
    package var caughtUpTo: Int64 = 0
    /// Something is known to be missing: Telegram has to be asked.
    package var isDue = false
    /// What is missing is not in the differences any more: messages behind `newest` come from the history.
    package var isBehind = false
    /// Of the difference that is being emitted, what has been: until all of it has, `pts` stays.
    package var ahead: [String] = []

    package init(pts: Int64?) { self.pts = pts }

    init?(_ json: JSON) {
        if let numbers = json.array {
            guard numbers.count == 2, let known = numbers[0].count31, let id = numbers[1].count31 else { return nil }
            (pts, newest) = (known, id)
            return
        }
        guard let object = json.object else { return nil }
        pts = object["pts"]?.count31
        newest = object["newest"]?.count31 ?? 0
        caughtUpTo = object["caught_up_to"]?.count31 ?? 0
        isDue = object["due"]?.bool ?? false
        isBehind = object["behind"]?.bool ?? false
        ahead = (object["ahead"]?.array ?? []).compactMap(\.string)
    }

    /// Two numbers where there is nothing else to say: an account may be in hundreds of channels.
    var json: JSON {
        var plain = BoxState(pts: pts)
        plain.newest = newest
        if let pts, self == plain { return [.integer(pts), .integer(newest)] }
        return .object([
            "pts": pts.map { .integer($0) }, "newest": newest == 0 ? nil : .integer(newest),
            "caught_up_to": caughtUpTo == 0 ? nil : .integer(caughtUpTo), "due": isDue ? true : nil,
            "behind": isBehind ? true : nil, "ahead": ahead.isEmpty ? nil : .array(ahead.map { .string($0) }),
        ])
    }
}
