import Accounts
import JSON

/// Bookkeeping of positions, as updates and answers advance them.
extension UpdateState {
    /// Reads an `updates.state`.
    init?(result: JSON) {
        guard let pts = result["pts"]?.count31, let qts = result["qts"]?.count31, let date = result["date"]?.count31,
            let seq = result["seq"]?.count31
        else { return nil }
        self.init(pts: pts, qts: qts, date: date, seq: seq)
    }

    mutating func note(date: Int64?) {
        if let date { self.date = max(self.date, date) }
    }

    /// Advances a box by the update that follows its position.
    ///
    /// - Returns: false when the change was emitted before, as part of a difference or the history.
    mutating func advance(by item: NumberedUpdate) -> Bool {
        self[item.box].pts = item.pts
        let box = self[item.box]
        if let key = ChangeKey.text(of: item.update), box.ahead.contains(key) { return false }
        if let id = ChangeKey.newMessage(item.update) {
            if id <= box.caughtUpTo { return false }
            self[item.box].newest = max(box.newest, id)
        }
        return true
    }

    /// Advances the common box, qts and seq to the position that a difference ends with.
    ///
    /// - Parameter isFinal: whether it was the last slice.
    mutating func advance(to position: JSON, isFinal: Bool) {
        if let pts = position["pts"]?.count31 { common.pts = pts }
        if let qts = position["qts"]?.count31 { self.qts = qts }
        if let seq = position["seq"]?.count31 { self.seq = seq }
        // Only the last slice tells which channels have changed, by the date that it is requested with.
        if isFinal { note(date: position["date"]?.count31) }
    }

    /// The most keys that are kept of a page. A restart repeats one page at most, so more are of no use.
    private static let mostAhead = 300

    /// Notes a change of a difference's page as emitted, although the box's pts is still that from before the page.
    ///
    /// - Parameter pageSize: the number of messages on the page.
    /// - Returns: false when the change was emitted before.
    mutating func takeAhead(_ update: JSON, of box: BoxID, pageSize: Int) -> Bool {
        let known = self[box]
        if let id = ChangeKey.newMessage(update) {
            if id <= known.caughtUpTo { return false }
            self[box].newest = max(known.newest, id)
        }
        if let key = ChangeKey.text(of: update) {
            if known.ahead.contains(key) { return false }
            self[box].ahead.append(key)
            let excess = known.ahead.count + 1 - max(UpdateState.mostAhead, 2 * pageSize)
            if excess > 0 { self[box].ahead.removeFirst(excess) }
        }
        return true
    }

    /// Takes the position of the common box, qts and seq from another state.
    mutating func move(to known: UpdateState) {
        (common.pts, common.ahead, qts, seq) = (known.common.pts, [], known.qts, known.seq)
    }

    /// Returns messages by their ids, lowest first.
    static func sorted(_ messages: JSON?) -> [JSON] {
        (messages?.array ?? []).sorted { $0["id"]?.count31 ?? 0 < $1["id"]?.count31 ?? 0 }
    }

    /// Returns the messages of an answer that are newer than a known one, oldest first.
    static func messages(in answer: JSON, after newest: Int64) -> [(id: Int64, message: JSON)] {
        sorted(answer["messages"]).filter { $0["_"] != "messageEmpty" }
            .compactMap { message in message["id"]?.count31.map { ($0, message) } }.filter { $0.id > newest }
    }

    /// Counts everything in the listed dialogs as seen.
    mutating func learnPositions(from dialogs: JSON) {
        for dialog in dialogs["dialogs"]?.array ?? [] {
            guard let top = dialog["top_message"]?.count31, let peer = dialog["peer"].flatMap({ PeerID(tl: $0) }) else {
                continue
            }
            guard case .channel(let id) = peer else {
                common.newest = max(common.newest, top)
                continue
            }
            guard let pts = dialog["pts"]?.count31, channels[id] == nil else { continue }
            var box = BoxState(pts: pts)
            box.newest = top
            channels[id] = box
        }
    }

    /// Counts everything in a channel before a date as seen. Newer messages come from the history.
    ///
    /// - Parameter history: the newest messages before the date. Some servers ignore the date, so it is checked here.
    mutating func setBoundary(_ history: JSON, _ box: BoxID, date: Int64) {
        // If messages of the channel were emitted before, only its pts was lost.
        if self[box].newest == 0 {
            let messages = history["messages"]?.array ?? []
            let older = messages.filter { $0["date"]?.count31 ?? 0 < date }.compactMap { $0["id"]?.count31 }.max()
            let oldest = messages.compactMap { $0["id"]?.count31 }.min()
            self[box].newest = older ?? oldest.map { max($0 - 1, 0) } ?? 0
        }
        self[box].pts = history["pts"]?.count31 ?? 1
        self[box].isBehind = true
    }
}

extension BoxID {
    /// Makes the update that would have announced a message of this box.
    func newMessage(_ message: JSON) -> JSON {
        ["_": self == .common ? "updateNewMessage" : "updateNewChannelMessage", "message": message]
    }
}
