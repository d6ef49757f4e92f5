import Accounts
package import JSON
import System

/// Puts an account's updates into order, so that each one is emitted once and none is lost.
///
/// This is a state machine: updates, Telegram's answers and the time go in; emissions and the next request come out. An update is emitted when it
/// follows the one before (`local pts + pts_count == pts`), ignored when it is older, and held when another one is missing before it. If
/// the missing one does not arrive within half a second, the difference is requested.
///
/// Source: https://core.telegram.org/api/updates
package struct UpdateSequencer: Sendable {
    /// The time of any clock that does not jump.
    package typealias Time = Duration

    /// The position up to which updates were taken; nil until Telegram has sent it, for an account that is listened to
    /// for the first time.
    package private(set) var state: UpdateState?
    private let own: Int64
    private let isBot: Bool
    private var pending = PendingBoxes()
    private var lastHeard: Time?
    /// Is true if Telegram no longer knows the numbers of the common box.
    private var isLost = false
    /// The number of times in a row that Telegram has refused to send the difference.
    private var refusals: [BoxID: Int] = [:]
    /// The number of answers in a row that could not be understood.
    private var unreadable: [BoxID: Int] = [:]
    package var hasUnreadableAnswers: Bool { !unreadable.isEmpty }
    /// The time before which the state is not requested again.
    private var stateDueAt: Time = .zero
    /// The next page of dialogs, from which the channels' positions are learned; nil when none is to be read.
    private var dialogs: DialogOffset?
    package var holes = UpdateHoles()

    /// The time that Telegram has to send a missing update by itself.
    static let patience = Duration.milliseconds(500)
    /// The pauses before a request that failed twice in a row: 1 to 60 seconds.
    static let refusalBackoff = Backoff(first: .seconds(1), longest: .seconds(60), jitter: .none)
    /// The silence after which the difference is requested.
    static let longestSilence = Duration.seconds(15 * 60)

    /// - Parameters:
    ///   - state: the position that was stored last; nil when the account was never listened to, and then no old update is emitted.
    ///   - own: the account's id.
    package init(state: UpdateState?, own: Int64, isBot: Bool) {
        (self.state, self.own, self.isBot) = (state, own, isBot)
        // Only the difference tells what happened before the start.
        pending.request(.common, at: .zero)
        for (id, box) in state?.channels ?? [:] where box.isDue || box.isBehind || !box.ahead.isEmpty {
            pending.request(.channel(id), at: .zero)
        }
    }

    /// Notes that updates may have been lost: the difference is requested next.
    package mutating func noteGap(at now: Time) { ask(.common, at: now) }

    // MARK: Requests

    /// Returns the request to make now; nil when none is due.
    package mutating func nextRequest(at now: Time) -> UpdateRequest? {
        guard let state, !isLost else { return now >= stateDueAt ? .state : nil }
        if let dialogs { return .dialogs(dialogs) }
        if let lastHeard, now - lastHeard >= UpdateSequencer.longestSilence {
            self.lastHeard = now
            ask(.common, at: now)
        }
        let due = pending.due(at: now)
        if due.contains(.common) { return state.common.isBehind ? .messages(after: state.common.newest) : .difference }
        return due.compactMap(\.channel).min().map { request(channel: $0, state) }
    }

    private func request(channel id: Int64, _ state: UpdateState) -> UpdateRequest {
        let box = state[.channel(id)]
        if box.isBehind { return .history(channel: id, after: box.newest) }
        if box.pts != nil { return .channelDifference(id) }
        return .boundary(channel: id, date: max(state.since, pending.joined(.channel(id)) ?? 0))
    }

    /// The time when `nextRequest` may return a request although nothing arrived; nil for never.
    package var deadline: Time? {
        guard state != nil, !isLost else { return stateDueAt }
        return [pending.deadline, lastHeard.map { $0 + UpdateSequencer.longestSilence }].compactMap { $0 }.min()
    }

    /// Requests the updates that a box is missing, and notes in the state that they are missing.
    private mutating func ask(_ box: BoxID, at time: Time) {
        pending.request(box, at: time)
        remember(box)
    }

    private mutating func hold(_ item: NumberedUpdate, until time: Time, at now: Time) {
        pending.hold(item, until: time, at: now)
        remember(item.box)
    }

    private mutating func remember(_ box: BoxID) {
        if state != nil, box != .common { state?[box].isDue = true }
    }

    // MARK: Updates

    /// Returns the ids of the peers without which a short update cannot be shown. Look them up, and pass them to `receive`.
    package func mentioned(in updates: JSON) -> [Int64] {
        ShortForm.expanded(updates, own: own)?["message"].map { ShortForm.mentioned(in: $0) } ?? []
    }

    /// Takes an `Updates` object. For one that cannot be understood, the difference is requested.
    ///
    /// - Parameter peers: the peers that a short update mentions, as far as they are known.
    package mutating func receive(_ updates: JSON, peers: Peers = Peers(), at now: Time) -> [Emission] {
        // Updates that arrive before the state is known are in the difference to it, or older.
        guard state != nil else { return [] }
        lastHeard = now
        switch updates["_"]?.string {
        case "updateShort":
            if let update = updates["update"] { return take([update], of: updates, at: now) }
        case "updates", "updatesCombined":
            if let list = updates["updates"]?.array { return takeAll(list, of: updates, at: now) }
        case "updateShortMessage", "updateShortChatMessage":
            if let update = ShortForm.expanded(updates, own: own), let item = NumberedUpdate(update, peers) {
                return takeShort(item, updates, at: now)
            }
        case "updateShortSentMessage":
            // This update contains neither the message nor its chat, so the difference is requested.
            if let pts = updates["pts"]?.count31, pts <= state?.common.pts ?? 0 { return [] }
        default: break
        }
        noteGap(at: now)
        return []
    }

    private mutating func takeShort(_ item: NumberedUpdate, _ short: JSON, at now: Time) -> [Emission] {
        if item.pts > state?.common.pts ?? 0, mentioned(in: short).contains(where: { item.peers[$0] == nil }) {
            ask(.common, at: now)
            return []
        }
        let emissions = place(item, at: now)
        state?.note(date: short["date"]?.count31)
        return emissions
    }

    private mutating func takeAll(_ list: [JSON], of updates: JSON, at now: Time) -> [Emission] {
        let emissions = take(list, of: updates, at: now)
        let last = updates["seq"]?.count31 ?? 0
        let first = updates["seq_start"]?.count31 ?? last
        guard first > 0, let seq = state?.seq else { return emissions }
        if first == seq + 1 { state?.seq = last }
        // Updates that are numbered by seq alone are not emitted, but a gap in seq shows that some were lost.
        if first > seq + 1 { ask(.common, at: now + UpdateSequencer.patience) }
        return emissions
    }

    private mutating func take(_ list: [JSON], of container: JSON, at now: Time) -> [Emission] {
        let peers = Peers(of: container)
        var emissions: [Emission] = []
        for update in list {
            // This check is not made for the contents of a difference, which would then be requested again and again.
            if NumberedUpdate.isFaulty(update) { noteGap(at: now) }
            emissions += take(update, peers, at: now)
        }
        state?.note(date: container["date"]?.count31)
        return emissions
    }

    private mutating func take(_ update: JSON, _ peers: Peers, at now: Time) -> [Emission] {
        switch update["_"]?.string {
        case "updateChannelTooLong":
            noteTooLong(update, peers, at: now)
            return []
        case "updateMessageReactions", "updateBotMessageReaction":
            note(qts: update["qts"]?.count31, at: now)
            return emission(update, peers)
        default:
            if let item = NumberedUpdate(update, peers) { return place(item, at: now) }
            note(qts: update["qts"]?.count31, at: now)
            return []
        }
    }

    private mutating func noteTooLong(_ update: JSON, _ peers: Peers, at now: Time) {
        guard let id = update["channel_id"]?.long else { return }
        if let pts = update["pts"]?.count31, let local = state?.channels[id]?.pts, pts <= local { return }
        ask(.channel(id), at: now)
        pending.setJoined(.channel(id), peers[PeerID.channel(id).botAPI]?["date"]?.count31)
    }

    /// Counts an update of a secret chat. It is not emitted, and counting it avoids a needless difference.
    private mutating func note(qts: Int64?, at now: Time) {
        guard let qts, let local = state?.qts else { return }
        if qts == local + 1 { state?.qts = qts }
        if qts > local + 1 { ask(.common, at: now + UpdateSequencer.patience) }
    }

    /// Emits, ignores or holds an update, by its number.
    private mutating func place(_ item: NumberedUpdate, at now: Time) -> [Emission] {
        guard let box = state?[item.box] else { return [] }
        guard let local = box.pts, !box.isBehind else {
            if box.pts == nil && isBot {
                // A bot cannot read the channel's history, so it starts with the first update.
                state?[item.box].pts = item.pts - item.count
                return place(item, at: now)
            }
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

    private mutating func apply(_ item: NumberedUpdate) -> [Emission] {
        state?.advance(by: item) == true ? emission(item.update, item.peers) : []
    }

    /// Emits the held updates before which no other is missing.
    private mutating func release(_ box: BoxID, at now: Time) -> [Emission] {
        guard let pts = state?[box].pts, let ready = pending.takeReady(box, after: pts, at: now) else { return [] }
        let emissions = ready.flatMap { apply($0) }
        if !pending.isWaiting(box) { state?[box].isDue = false }
        return emissions
    }

    private func emission(_ update: JSON, _ peers: Peers, _ pts: JSON? = nil) -> [Emission] {
        state.map { [Emission(update: update, peers: peers, state: $0, readAtPTS: pts?.count31)] } ?? []
    }

    // MARK: Answers

    /// Takes the answer to a request. One that `request` does not accept is requested again, after a growing pause.
    package mutating func answer(_ request: UpdateRequest, _ result: JSON, at now: Time) -> [Emission] {
        lastHeard = now
        guard request.accepts(result) else {
            postpone(request, at: now)
            return []
        }
        unreadable[request.box] = nil
        switch request {
        case .state: takeState(result)
        case .dialogs(let offset):
            state?.learnPositions(from: result)
            dialogs = offset.next(after: result)
        case .difference: return takeDifference(result, at: now)
        case .channelDifference: return takeChannelDifference(result, request.box, at: now)
        case .boundary(_, let date):
            state?.setBoundary(result, request.box, date: date)
            ask(request.box, at: now)
        case .history, .messages: return takeHistory(result, request.box, at: now)
        }
        return []
    }

    private mutating func postpone(_ request: UpdateRequest, at now: Time) {
        let count = unreadable[request.box, default: 0] + 1
        unreadable[request.box] = count
        let time = now + UpdateSequencer.refusalBackoff.pause(after: count)
        switch request {
        case .state: stateDueAt = time
        case .dialogs: dialogs = nil
        default:
            pending.cancelRequests(request.box)
            ask(request.box, at: time)
        }
    }

    private mutating func takeState(_ result: JSON) {
        guard let known = UpdateState(result: result) else { return }
        isLost = false
        pending.remove(.common)
        guard let before = state else {
            state = known
            dialogs = isBot ? nil : DialogOffset()
            return
        }
        state?.move(to: known)
        // Without messages, none can be missing.
        holes.note(.common, newest: before.common.newest, .positionUnknown)
        guard before.common.newest > 0 else { return }
        state?.common.isBehind = true
        ask(.common, at: .zero)
    }

    private mutating func takeDifference(_ result: JSON, at now: Time) -> [Emission] {
        refusals[.common] = nil
        pending.cancelRequests(.common)
        switch result["_"]?.string {
        case "updates.differenceEmpty":
            state?.advance(to: result, isFinal: true)
            state?.common.ahead = []
            return complete(.common, at: now)
        case "updates.differenceTooLong":
            state?.common.pts = result["pts"]?.count31
            // The ids of messages have no gaps, so messages that the difference no longer has are found by id.
            if let newest = state?.common.newest { state?.common.isBehind = newest > 0 }
            holes.note(.common, newest: state?.common.newest, .tooLong)
            ask(.common, at: now)
            return []
        case "updates.difference":
            let emissions = takePage(result, .common, at: now)
            state?.advance(to: result["state"] ?? .null, isFinal: true)
            state?.common.ahead = []
            return settled(emissions) + complete(.common, at: now)
        default:
            let emissions = takePage(result, .common, at: now)
            state?.advance(to: result["intermediate_state"] ?? .null, isFinal: false)
            ask(.common, at: now)
            return settled(emissions)
        }
    }

    private mutating func takeChannelDifference(_ result: JSON, _ box: BoxID, at now: Time) -> [Emission] {
        refusals[box] = nil
        pending.cancelRequests(box)
        switch result["_"]?.string {
        case "updates.channelDifferenceTooLong":
            state?[box].pts = result["dialog"]?["pts"]?.count31
            state?[box].isBehind = !isBot
            // A bot cannot read what was missed in between.
            holes.note(box, newest: isBot ? nil : state?[box].newest, .tooLong, pts: state?[box].pts)
            if isBot { return finish(box, at: now) }
            ask(box, at: now)
            return []
        case "updates.channelDifference":
            let emissions = takePage(result, box, at: now)
            state?[box].pts = result["pts"]?.count31
            if result["final"]?.bool == true {
                state?[box].ahead = []
                return settled(emissions) + finish(box, at: now)
            }
            ask(box, at: now)
            return settled(emissions)
        default:
            if let pts = result["pts"]?.count31 { state?[box].pts = pts }
            return finish(box, at: now)
        }
    }

    private mutating func finish(_ box: BoxID, at now: Time) -> [Emission] {
        state?[box].ahead = []
        state?[box].isDue = false
        return complete(box, at: now)
    }

    /// Ends a difference: emits the held updates that follow it. Updates that do not follow twice in a row have a
    /// number that Telegram's never reach; they are dropped, so that they are not requested for ever.
    private mutating func complete(_ box: BoxID, at now: Time) -> [Emission] {
        let emissions = release(box, at: now)
        return pending.dropUnreachable(box) ? emissions + release(box, at: now) : emissions
    }

    /// Takes one page of a difference. Until all of it is emitted, the stored state has the pts from before it and the keys of the emitted
    /// changes.
    private mutating func takePage(_ page: JSON, _ box: BoxID, at now: Time) -> [Emission] {
        let peers = Peers(of: page)
        let updates = UpdateState.sorted(page["new_messages"]).map(box.newMessage)
        var emissions: [Emission] = []
        for update in updates { emissions += takeAhead(update, box, peers, room: updates.count) }
        for update in page["other_updates"]?.array ?? [] {
            if let item = NumberedUpdate(update, peers), item.box == box {
                emissions += takeAhead(update, box, peers, room: updates.count)
            } else {
                emissions += take(update, peers, at: now)
            }
        }
        return emissions
    }

    private mutating func takeAhead(_ update: JSON, _ box: BoxID, _ peers: Peers, room: Int) -> [Emission] {
        state?.takeAhead(update, of: box, pageSize: room) == true ? emission(update, peers) : []
    }

    /// Gives the last emission of a page the state after the page.
    private func settled(_ emissions: [Emission]) -> [Emission] {
        guard let state, let last = emissions.indices.last else { return emissions }
        var emissions = emissions
        emissions[last].state = state
        return emissions
    }

    /// Takes a page of messages that are newer than the newest known one.
    private mutating func takeHistory(_ result: JSON, _ box: BoxID, at now: Time) -> [Emission] {
        guard let known = state?[box] else { return [] }
        let peers = Peers(of: result)
        let messages = UpdateState.messages(in: result, after: known.newest)
        var emissions: [Emission] = []
        for (id, message) in messages {
            state?[box].newest = id
            if !known.ahead.contains("n\(id)") { emissions += emission(box.newMessage(message), peers, result["pts"]) }
        }
        if messages.isEmpty {
            state?[box].isBehind = false
            state?[box].caughtUpTo = known.newest
        }
        // The next page follows; after the last one, the difference tells what has happened meanwhile.
        pending.cancelRequests(box)
        ask(box, at: now)
        return emissions
    }

    // MARK: Refusals

    /// Takes a permanent refusal of a request: of a channel that the account has left, or with numbers that Telegram does not know.
    ///
    /// - Parameter areNumbersUnknown: whether Telegram refuses the pts.
    package mutating func refuse(_ request: UpdateRequest, areNumbersUnknown: Bool, at now: Time) -> [Emission] {
        switch request {
        case .state: break
        case .dialogs: dialogs = nil
        case .difference: if !isPaused(.common, at: now) { isLost = true }
        case .messages:
            holes.note(.common, newest: nil, .refused)
            state?.common.isBehind = false
            pending.cancelRequests(.common)
            return release(.common, at: now)
        case .channelDifference(let id) where areNumbersUnknown && !isBot:
            guard !isPaused(.channel(id), at: now) else { break }
            holes.note(.channel(id), newest: state?.channels[id]?.newest, .positionUnknown)
            state?.channels[id]?.pts = nil
            ask(.channel(id), at: now)
        case .channelDifference, .boundary, .history: return giveUp(request.box, at: now)
        }
        return []
    }

    /// Pauses after every second refusal, because the new numbers that followed the first one were of no use.
    private mutating func isPaused(_ box: BoxID, at now: Time) -> Bool {
        let count = refusals[box, default: 0] + 1
        refusals[box] = count
        guard count.isMultiple(of: 2) else { return false }
        pending.cancelRequests(box)
        ask(box, at: now + UpdateSequencer.refusalBackoff.pause(after: count / 2))
        return true
    }

    /// Emits the held updates of a channel although Telegram does not send the updates that are missing before them:
    /// the account is no longer a member of the channel, or never was.
    private mutating func giveUp(_ box: BoxID, at now: Time) -> [Emission] {
        pending.cancelRequests(box)
        if state?[box].newest ?? 0 > 0 { holes.note(box, newest: nil, .refused) }
        state?[box].isDue = false
        state?[box].isBehind = false
        if let first = pending.firstHeld(box) { state?[box].pts = first.pts - first.count }
        let emissions = release(box, at: now)
        if let id = box.channel, state?[box].pts == nil { state?.channels[id] = nil }
        return emissions
    }
}
