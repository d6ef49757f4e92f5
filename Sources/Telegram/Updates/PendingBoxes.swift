import Accounts
import JSON

/// Holds updates that arrived too early, box by box, with the times at which to request the missing ones before them.
struct PendingBoxes: Sendable {
    typealias Time = UpdateSequencer.Time

    private struct Pending: Sendable {
        /// The held updates, by pts.
        var held: [NumberedUpdate] = []
        /// The pts of the first held update when the last difference was complete.
        var firstLeft: Int64?
        /// The time at which to request the updates that are missing before the held ones.
        var gapEndsAt: Time?
        /// The time at which to request the difference whether or not updates are held.
        var requestAt: Time?
        /// The date on which the account joined the channel, if it is known.
        var joined: Int64?

        var dueAt: Time? { [gapEndsAt, requestAt].compactMap { $0 }.min() }
    }

    /// The most updates that one box holds; when there are more, the difference brings all of them again.
    private static let mostHeld = 1000

    private var boxes: [BoxID: Pending] = [:]

    /// The boxes whose request is due.
    func due(at now: Time) -> [BoxID] { boxes.filter { $0.value.dueAt.map { $0 <= now } ?? false }.map(\.key) }

    /// The time of the next request.
    var deadline: Time? { boxes.values.compactMap(\.dueAt).min() }

    func isWaiting(_ box: BoxID) -> Bool { boxes[box] != nil }

    mutating func request(_ box: BoxID, at time: Time) {
        boxes[box, default: Pending()].requestAt = min(boxes[box]?.requestAt ?? time, time)
    }

    /// Cancels the requests that are due now or later; held updates stay.
    mutating func cancelRequests(_ box: BoxID) {
        boxes[box]?.requestAt = nil
        boxes[box]?.gapEndsAt = nil
    }

    mutating func remove(_ box: BoxID) { boxes[box] = nil }

    func joined(_ box: BoxID) -> Int64? { boxes[box]?.joined }

    mutating func setJoined(_ box: BoxID, _ date: Int64?) { boxes[box]?.joined = date }

    /// Holds an update until `time`, when the missing ones before it are requested.
    mutating func hold(_ item: NumberedUpdate, until time: Time, at now: Time) {
        var pending = boxes[item.box] ?? Pending()
        if let id = item.box.chatID { pending.joined = pending.joined ?? item.peers[id]?["date"]?.int }
        if pending.held.count >= PendingBoxes.mostHeld {
            pending.held = []
            pending.requestAt = now
        } else {
            let place = pending.held.firstIndex { $0.pts > item.pts } ?? pending.held.endIndex
            pending.held.insert(item, at: place)
            pending.gapEndsAt = min(pending.gapEndsAt ?? time, time)
        }
        boxes[item.box] = pending
    }

    func firstHeld(_ box: BoxID) -> NumberedUpdate? { boxes[box]?.held.first }

    /// Takes the held updates that follow `pts` without a gap, and drops older ones.
    ///
    /// - Returns: nil for a box that waits for nothing.
    mutating func takeReady(_ box: BoxID, after pts: Int64, at now: Time) -> [NumberedUpdate]? {
        guard var pending = boxes[box] else { return nil }
        var (ready, local): ([NumberedUpdate], Int64) = ([], pts)
        let passed = pending.held.prefix { item in
            guard item.pts - item.count <= local else { return false }
            if item.pts - item.count == local {
                ready.append(item)
                local = item.pts
            }
            return true
        }
        pending.held.removeFirst(passed.count)
        pending.gapEndsAt = pending.held.isEmpty ? nil : pending.gapEndsAt ?? now + UpdateSequencer.patience
        boxes[box] = pending.dueAt == nil ? nil : pending
        return ready
    }

    /// Drops the held updates of a box if the first of them is the same as after the previous difference: Telegram's
    /// numbers do not reach it.
    ///
    /// - Returns: whether updates were dropped.
    mutating func dropUnreachable(_ box: BoxID) -> Bool {
        guard let first = boxes[box]?.held.first?.pts else { return false }
        guard first == boxes[box]?.firstLeft else {
            boxes[box]?.firstLeft = first
            return false
        }
        boxes[box]?.held = []
        return true
    }
}
