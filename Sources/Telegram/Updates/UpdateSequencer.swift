import JSON
import System

/// Puts what Telegram tells of an account into order, so that everything is emitted, and nothing twice.
///
/// A state machine: updates, answers and the time go in; what happened, and what has to be asked for, come out. An update is taken when it
/// follows what was taken before (`local pts + pts_count == pts`), ignored when it is old, and held when something is missing before it; if
/// that does not come within half a second, Telegram is asked for the difference.
///
/// Source: https://core.telegram.org/api/updates
package struct UpdateSequencer: Sendable {
    /// Of any clock that does not jump.
    package typealias Time = Duration

    /// nil before Telegram has said where a new account stands.
    package internal(set) var state: UpdateState?
    let own: Int64
    /// Bots may not read histories.
    let isBot: Bool
    var boxes: [BoxID: Waiting] = [:]
    var lastHeard: Time?
    /// Telegram does not know the numbers of the common box any more.
    var isLost = false
    /// How often in a row Telegram refused to tell the difference.
    var refusals: [BoxID: Int] = [:]
    /// Which channels are to be learned next, with where they stand; nil: none.
    var dialogs: DialogOffset?

    /// How long what is missing may still come by itself.
    static let patience = Duration.milliseconds(500)
    /// The pauses before a request that Telegram refused twice in a row with numbers that it had just named: 1 to 60 seconds.
    static let refusalBackoff = Backoff(first: .seconds(1), longest: .seconds(60), jitter: .none)
    /// Silence after which Telegram is asked whether there was something.
    static let longestSilence = Duration.seconds(15 * 60)
    /// More updates that wait are not kept: the difference brings them again.
    static let mostHeld = 1000

    /// What a box waits for.
    struct Waiting: Sendable {
        /// Not taken yet, for something before them is missing; by pts.
        var held: [Numbered] = []
        /// The first of them when the difference was last complete, and did not have what is missing before it.
        var firstLeft: Int64?
        /// When to ask Telegram for what is missing before them.
        var gapEndsAt: Time?
        /// When to ask Telegram in any case.
        var askAt: Time?
        /// When the account came into the channel, as far as that was told.
        var joined: Int64?

        var dueAt: Time? { [gapEndsAt, askAt].compactMap { $0 }.min() }
    }

    /// - Parameters:
    ///   - state: as it was when the account was last listened to; nil: never, and nothing old is emitted.
    ///   - own: the account's id.
    package init(state: UpdateState?, own: Int64, isBot: Bool) {
        (self.state, self.own, self.isBot) = (state, own, isBot)
        // At the start only the difference tells what happened.
        boxes[.common] = Waiting(askAt: .zero)
        for (id, box) in state?.channels ?? [:] where box.isDue || box.isBehind || !box.ahead.isEmpty {
            boxes[.channel(id)] = Waiting(askAt: .zero)
        }
    }

    /// Updates may have been lost.
    package mutating func noteGap(at now: Time) { ask(.common, at: now) }

    /// What to ask Telegram for now; nil when nothing is.
    package mutating func nextRequest(at now: Time) -> UpdateRequest? {
        guard let state, !isLost else { return .state }
        if let dialogs { return .dialogs(dialogs) }
        if let lastHeard, now - lastHeard >= UpdateSequencer.longestSilence {
            self.lastHeard = now
            ask(.common, at: now)
        }
        let due = boxes.filter { $0.value.dueAt.map { $0 <= now } ?? false }.keys
        if due.contains(.common) { return state.common.isBehind ? .messages(after: state.common.newest) : .difference }
        let channels = due.compactMap { box -> Int64? in if case .channel(let id) = box { id } else { nil } }
        return channels.min().map { request(channel: $0, state) }
    }

    private func request(channel id: Int64, _ state: UpdateState) -> UpdateRequest {
        let box = state[.channel(id)]
        if box.isBehind { return .history(channel: id, after: box.newest) }
        if box.pts != nil { return .channelDifference(id) }
        return .boundary(channel: id, date: max(state.since, boxes[.channel(id)]?.joined ?? 0))
    }

    /// When `nextRequest` may say something although nothing came; nil: never.
    package var deadline: Time? {
        let times =
            boxes.values.compactMap(\.dueAt)
            + [lastHeard.map { $0 + UpdateSequencer.longestSilence }]
            .compactMap { $0 }
        return times.min()
    }

    /// Has Telegram asked, and remembers that over a restart.
    mutating func ask(_ box: BoxID, at time: Time) {
        boxes[box, default: Waiting()].askAt = min(boxes[box]?.askAt ?? time, time)
        remember(box)
    }

    private mutating func remember(_ box: BoxID) {
        if state != nil, box != .common { state?[box].isDue = true }
    }

    mutating func hold(_ item: Numbered, until time: Time, at now: Time) {
        var waiting = boxes[item.box] ?? Waiting()
        if let id = item.box.chatID { waiting.joined = waiting.joined ?? item.peers[id]?["date"]?.int }
        if waiting.held.count >= UpdateSequencer.mostHeld {
            waiting.held = []
            waiting.askAt = now
        } else {
            let place = waiting.held.firstIndex { $0.pts > item.pts } ?? waiting.held.endIndex
            waiting.held.insert(item, at: place)
            waiting.gapEndsAt = min(waiting.gapEndsAt ?? time, time)
        }
        boxes[item.box] = waiting
        remember(item.box)
    }
}
