import Accounts
package import JSON

/// Updates as they come by themselves.
extension UpdateSequencer {
    /// Those that a short update cannot be shown without: they are to be looked up, and given to `receive`.
    package func mentioned(in updates: JSON) -> [Int64] {
        ShortForm.expanded(updates, own: own)?["message"].map { ShortForm.mentioned(in: $0) } ?? []
    }

    /// Takes an `Updates`.
    ///
    /// - Parameter peers: whom a short update mentions, as far as they are known.
    package mutating func receive(_ updates: JSON, peers: Peers = Peers(), at now: Time) -> [Emission] {
        // What comes before the state is known is in the difference to it, or older.
        guard state != nil else { return [] }
        lastHeard = now
        switch updates["_"]?.string {
        case "updateShort":
            guard let update = updates["update"] else { return [] }
            return take([update], of: updates, at: now)
        case "updates", "updatesCombined": return takeAll(updates, at: now)
        case "updateShortMessage", "updateShortChatMessage": return takeShort(updates, peers, at: now)
        case "updateShortSentMessage":
            // It says neither what was sent nor where.
            if let pts = updates["pts"]?.count31, pts > state?.common.pts ?? 0 { ask(.common, at: now) }
            return []
        default:
            noteGap(at: now)
            return []
        }
    }

    private mutating func takeShort(_ short: JSON, _ peers: Peers, at now: Time) -> [Emission] {
        guard let update = ShortForm.expanded(short, own: own), let item = Numbered(update, peers) else { return [] }
        if item.pts > state?.common.pts ?? 0, mentioned(in: short).contains(where: { peers[$0] == nil }) {
            ask(.common, at: now)
            return []
        }
        let emissions = place(item, at: now)
        note(date: short["date"]?.count31)
        return emissions
    }

    private mutating func takeAll(_ updates: JSON, at now: Time) -> [Emission] {
        let emissions = take(updates["updates"]?.array ?? [], of: updates, at: now)
        let last = updates["seq"]?.count31 ?? 0
        let first = updates["seq_start"]?.count31 ?? last
        guard first > 0, let seq = state?.seq else { return emissions }
        if first == seq + 1 { state?.seq = last }
        // What has a number in the sequence alone is not emitted; but a hole in it tells that something was lost.
        if first > seq + 1 { ask(.common, at: now + UpdateSequencer.patience) }
        return emissions
    }

    private mutating func take(_ list: [JSON], of container: JSON, at now: Time) -> [Emission] {
        let peers = Peers(of: container)
        let emissions = list.flatMap { take($0, peers, at: now) }
        note(date: container["date"]?.count31)
        return emissions
    }

    mutating func take(_ update: JSON, _ peers: Peers, at now: Time) -> [Emission] {
        switch update["_"]?.string {
        case "updateChannelTooLong":
            noteTooLong(update, peers, at: now)
            return []
        case "updateMessageReactions", "updateBotMessageReaction":
            note(qts: update["qts"]?.count31, at: now)
            return emission(update, peers)
        default:
            if let item = Numbered(update, peers) { return place(item, at: now) }
            note(qts: update["qts"]?.count31, at: now)
            return []
        }
    }

    private mutating func noteTooLong(_ update: JSON, _ peers: Peers, at now: Time) {
        guard let id = update["channel_id"]?.long else { return }
        if let pts = update["pts"]?.count31, let local = state?.channels[id]?.pts, pts <= local { return }
        ask(.channel(id), at: now)
        boxes[.channel(id)]?.joined = peers[PeerID.channel(id).botAPI]?["date"]?.count31
    }

    /// Secret chats are counted, so that no difference comes of them, and left alone.
    private mutating func note(qts: Int64?, at now: Time) {
        guard let qts, let local = state?.qts else { return }
        if qts == local + 1 { state?.qts = qts }
        if qts > local + 1 { ask(.common, at: now + UpdateSequencer.patience) }
    }

    mutating func note(date: Int64?) {
        guard let date, let known = state?.date else { return }
        state?.date = max(known, date)
    }

    /// Takes, ignores or holds.
    private mutating func place(_ item: Numbered, at now: Time) -> [Emission] {
        guard let box = state?[item.box] else { return [] }
        guard let local = box.pts, !box.isBehind else {
            if box.pts == nil && isBot { return begin(item, at: now) }
            hold(item, until: now, at: now)
            return []
        }
        if local + item.count > item.pts { return [] }
        if local + item.count < item.pts {
            hold(item, until: now + UpdateSequencer.patience, at: now)
            return []
        }
        return apply(item) + release(item.box, at: now)
    }

    /// The first that is heard of a channel, where its history cannot be read.
    private mutating func begin(_ item: Numbered, at now: Time) -> [Emission] {
        state?[item.box].pts = item.pts - item.count
        return place(item, at: now)
    }

    private mutating func apply(_ item: Numbered) -> [Emission] {
        state?[item.box].pts = item.pts
        guard let box = state?[item.box] else { return [] }
        if let key = ChangeKey.text(of: item.update), box.ahead.contains(key) { return [] }
        if let id = ChangeKey.newMessage(item.update) {
            if id <= box.caughtUpTo { return [] }
            state?[item.box].newest = max(box.newest, id)
        }
        return emission(item.update, item.peers)
    }

    /// Takes what was held, as far as nothing is missing any more.
    mutating func release(_ box: BoxID, at now: Time) -> [Emission] {
        guard var waiting = boxes[box], let begun = state?[box].pts else { return [] }
        var emissions: [Emission] = []
        var local = begun
        while let next = waiting.held.first, next.pts - next.count <= local {
            waiting.held.removeFirst()
            guard next.pts - next.count == local else { continue }
            emissions += apply(next)
            local = next.pts
        }
        waiting.gapEndsAt = waiting.held.isEmpty ? nil : waiting.gapEndsAt ?? now + UpdateSequencer.patience
        boxes[box] = waiting.dueAt == nil ? nil : waiting
        if waiting.dueAt == nil { state?[box].isDue = false }
        return emissions
    }

    func emission(_ update: JSON, _ peers: Peers) -> [Emission] {
        guard let state else { return [] }
        return [Emission(update: update, peers: peers, state: state)]
    }
}
