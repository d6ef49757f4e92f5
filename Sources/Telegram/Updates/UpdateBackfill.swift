import JSON

/// What is not in a difference any more, or never was, from the history.
extension UpdateSequencer {
    /// A channel that is heard of for the first time: what was written there before counts as seen.
    mutating func takeBoundary(_ result: JSON, _ box: BoxID, at now: Time) -> [Emission] {
        // Where it was known before, only its count was lost.
        if state?[box].newest == 0 { state?[box].newest = result["messages"]?.array?.first?["id"]?.count31 ?? 0 }
        state?[box].pts = result["pts"]?.count31 ?? 1
        state?[box].isBehind = true
        ask(box, at: now)
        return []
    }

    /// A page of messages behind the newest known one, oldest last.
    mutating func takeHistory(_ result: JSON, _ box: BoxID, at now: Time) -> [Emission] {
        guard let known = state?[box] else { return [] }
        let peers = Peers(of: result)
        let name = box == .common ? "updateNewMessage" : "updateNewChannelMessage"
        let listed = (result["messages"]?.array ?? []).filter { $0["id"]?.count31 ?? 0 > known.newest }
        let messages = listed.filter { $0["_"] != "messageEmpty" }.sorted {
            $0["id"]?.count31 ?? 0 < $1["id"]?.count31 ?? 0
        }
        var emissions: [Emission] = []
        for message in messages {
            guard let id = message["id"]?.count31 else { continue }
            state?[box].newest = id
            let update = JSON.object(["_": .string(name), "message": message])
            if !known.ahead.contains("n\(id)") { emissions += emission(update, peers) }
        }
        clear(box)
        guard messages.isEmpty else {
            ask(box, at: now)
            return emissions
        }
        state?[box].isBehind = false
        state?[box].caughtUpTo = known.newest
        // What has happened meanwhile is in the difference.
        ask(box, at: now)
        return emissions
    }
}

extension UpdateState {
    /// Of an `updates.state`.
    init?(result: JSON) {
        guard let pts = result["pts"]?.count31, let qts = result["qts"]?.count31, let date = result["date"]?.count31,
            let seq = result["seq"]?.count31
        else { return nil }
        self.init(pts: pts, qts: qts, date: date, seq: seq)
    }
}
