import Accounts
package import JSON

/// The position up to which an account's updates were taken. A listener continues from it.
///
/// Source: https://core.telegram.org/api/updates
package struct UpdateState: Sendable, Equatable {
    /// The position in private chats, basic groups and everything else outside of channels.
    package var common: BoxState
    /// The positions in channels, by MTProto channel id.
    package var channels: [Int64: BoxState]
    package var qts: Int64
    /// The time of the last update, in seconds of the server's clock.
    package var date: Int64
    package var seq: Int64
    /// The time when the account was first listened to, in seconds. Nothing older is emitted.
    package var since: Int64

    package init(pts: Int64, qts: Int64, date: Int64, seq: Int64) {
        common = BoxState(pts: pts)
        channels = [:]
        (self.qts, self.date, self.seq, since) = (qts, date, seq, date)
    }

    /// Returns whether anything but the date differs, so that the state is worth storing.
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

/// Identifies a sequence of updates with a count (pts) of its own.
package enum BoxID: Sendable, Hashable {
    case common
    case channel(Int64)

    /// The MTProto id of the channel; nil for the common box.
    var channel: Int64? { if case .channel(let id) = self { id } else { nil } }

    /// The Bot API id of the channel; nil for the common box.
    var chatID: Int64? { channel.map { PeerID.channel($0).botAPI } }
}

/// The position up to which the updates of one box were taken.
package struct BoxState: Sendable, Equatable {
    /// The number of the last update; nil when it is not known yet. New accounts have 0.
    package var pts: Int64?
    /// The highest id of a received message; 0 when there was none.
    package var newest: Int64 = 0
    /// The highest id of a message from the history. Updates may still announce messages up to it.
    package var caughtUpTo: Int64 = 0
    /// Is true if updates are known to be missing, so that the difference must be requested.
    package var isDue = false
    /// Is true if missing updates have left the differences, so that messages after `newest` come from the history.
    package var isBehind = false
    /// The keys of the emitted changes of a difference. Until all of the difference is emitted, `pts` stays as it was before.
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

    /// The position as JSON: only two numbers when everything else has its default value, because an account may be in
    /// hundreds of channels.
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
