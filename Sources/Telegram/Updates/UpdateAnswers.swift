package import JSON
import System

/// What Telegram answers to what it was asked for.
extension UpdateSequencer {
    /// Takes the answer to a request.
    package mutating func answer(_ request: UpdateRequest, _ result: JSON, at now: Time) -> [Emission] {
        lastHeard = now
        switch request {
        case .state:
            guard let known = UpdateState(result: result) else { return [] }
            take(known)
            return []
        case .dialogs(let offset):
            take(dialogs: result, from: offset)
            return []
        case .difference:
            refusals[.common] = nil
            return takeDifference(result, at: now)
        case .channelDifference(let id):
            refusals[.channel(id)] = nil
            return takeChannelDifference(result, .channel(id), at: now)
        case .boundary(let id, _): return takeBoundary(result, .channel(id), at: now)
        case .history, .messages: return takeHistory(result, request.box, at: now)
        }
    }

    private mutating func take(_ known: UpdateState) {
        isLost = false
        boxes[.common] = nil
        guard let before = state else {
            state = known
            dialogs = isBot ? nil : DialogOffset()
            return
        }
        state?.common.pts = known.common.pts
        state?.common.ahead = []
        state?.qts = known.qts
        state?.seq = known.seq
        // Without messages there is nothing that could be missing.
        guard before.common.newest > 0 else { return }
        state?.common.isBehind = true
        ask(.common, at: .zero)
    }

    /// A request that Telegram refuses for good: of a channel that was left, or with numbers that it does not know.
    ///
    /// - Parameter areNumbersUnknown: it is the pts that is refused.
    package mutating func refuse(_ request: UpdateRequest, areNumbersUnknown: Bool, at now: Time) -> [Emission] {
        switch request {
        case .state: break
        case .dialogs: dialogs = nil
        case .difference:
            if !isPaused(.common, at: now) { isLost = true }
        case .messages:
            state?.common.isBehind = false
            clear(.common)
            return release(.common, at: now)
        case .channelDifference(let id) where areNumbersUnknown && !isBot:
            guard !isPaused(.channel(id), at: now) else { break }
            state?.channels[id]?.pts = nil
            ask(.channel(id), at: now)
        case .channelDifference(let id), .boundary(let id, _), .history(let id, _):
            return giveUp(.channel(id), at: now)
        }
        return []
    }

    /// Every second refusal is waited after: new numbers, which the one before it led to, were of no use.
    private mutating func isPaused(_ box: BoxID, at now: Time) -> Bool {
        let count = refusals[box, default: 0] + 1
        refusals[box] = count
        guard count.isMultiple(of: 2) else { return false }
        clear(box)
        ask(box, at: now + UpdateSequencer.refusalBackoff.pause(after: count / 2))
        return true
    }

    /// Telegram does not tell what is missing: the account was sent away, or was never let in. What came by itself is taken.
    private mutating func giveUp(_ box: BoxID, at now: Time) -> [Emission] {
        clear(box)
        state?[box].isDue = false
        state?[box].isBehind = false
        if let first = boxes[box]?.held.first { state?[box].pts = first.pts - first.count }
        let emissions = release(box, at: now)
        if case .channel(let id) = box, state?[box].pts == nil { state?.channels[id] = nil }
        return emissions
    }

    /// What is asked for now is not to be asked for again.
    mutating func clear(_ box: BoxID) {
        boxes[box]?.askAt = nil
        boxes[box]?.gapEndsAt = nil
    }

    private mutating func takeDifference(_ result: JSON, at now: Time) -> [Emission] {
        clear(.common)
        switch result["_"]?.string {
        case "updates.differenceEmpty":
            note(result, isFinal: true)
            state?.common.ahead = []
            return complete(.common, at: now)
        case "updates.differenceTooLong":
            state?.common.pts = result["pts"]?.count31
            // Message ids are counted without holes: what the difference does not bring any more is found by them.
            let isAnyKnown = (state?.common.newest ?? 0) > 0
            state?.common.isBehind = isAnyKnown
            ask(.common, at: now)
            return []
        case "updates.difference":
            guard let behind = result["state"] else { return [] }
            let emissions = takePage(result, .common, at: now)
            note(behind, isFinal: true)
            state?.common.ahead = []
            return settled(emissions) + complete(.common, at: now)
        default:
            guard let between = result["intermediate_state"] else { return [] }
            let emissions = takePage(result, .common, at: now)
            note(between, isFinal: false)
            ask(.common, at: now)
            return settled(emissions)
        }
    }

    private mutating func note(_ behind: JSON, isFinal: Bool) {
        if let pts = behind["pts"]?.count31 { state?.common.pts = pts }
        if let qts = behind["qts"]?.count31 { state?.qts = qts }
        if let seq = behind["seq"]?.count31 { state?.seq = seq }
        // Only the last slice tells which channels have changed, and it does so by the date that it is asked with.
        if isFinal { note(date: behind["date"]?.count31) }
    }

    private mutating func takeChannelDifference(_ result: JSON, _ box: BoxID, at now: Time) -> [Emission] {
        clear(box)
        switch result["_"]?.string {
        case "updates.channelDifferenceTooLong":
            guard let pts = result["dialog"]?["pts"]?.count31 else { return [] }
            state?[box].pts = pts
            state?[box].isBehind = !isBot
            if isBot { return finish(box, at: now) }
            ask(box, at: now)
            return []
        case "updates.channelDifference":
            guard let pts = result["pts"]?.count31 else { return [] }
            let emissions = takePage(result, box, at: now)
            state?[box].pts = pts
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

    /// A difference has told everything. What it leads up to is taken; what it does not, twice in a row, has a number that Telegram does
    /// not count to, and is not asked for for ever.
    private mutating func complete(_ box: BoxID, at now: Time) -> [Emission] {
        let emissions = release(box, at: now)
        guard let first = boxes[box]?.held.first?.pts else { return emissions }
        guard first == boxes[box]?.firstLeft else {
            boxes[box]?.firstLeft = first
            return emissions
        }
        boxes[box]?.held = []
        return emissions + release(box, at: now)
    }

    /// What one page of a difference tells. Until all of it is emitted the pts before it counts, beside what has been of it.
    private mutating func takePage(_ page: JSON, _ box: BoxID, at now: Time) -> [Emission] {
        let peers = Peers(of: page)
        let name = box == .common ? "updateNewMessage" : "updateNewChannelMessage"
        let messages = (page["new_messages"]?.array ?? []).sorted { $0["id"]?.count31 ?? 0 < $1["id"]?.count31 ?? 0 }
        let updates = messages.map { JSON.object(["_": .string(name), "message": $0]) }
        var emissions: [Emission] = []
        for update in updates { emissions += takeAhead(update, box, peers, room: updates.count) }
        for update in page["other_updates"]?.array ?? [] {
            if let item = Numbered(update, peers), item.box == box {
                emissions += takeAhead(update, box, peers, room: updates.count)
            } else {
                emissions += take(update, peers, at: now)
            }
        }
        return emissions
    }

    /// Restarts repeat at most one page; more keys are of no use.
    private static let mostAhead = 300

    private mutating func takeAhead(_ update: JSON, _ box: BoxID, _ peers: Peers, room: Int) -> [Emission] {
        guard let known = state?[box] else { return [] }
        if let id = ChangeKey.newMessage(update) {
            if id <= known.caughtUpTo { return [] }
            state?[box].newest = max(known.newest, id)
        }
        if let key = ChangeKey.text(of: update) {
            if known.ahead.contains(key) { return [] }
            state?[box].ahead.append(key)
            let excess = known.ahead.count + 1 - max(UpdateSequencer.mostAhead, 2 * room)
            if excess > 0 { state?[box].ahead.removeFirst(excess) }
        }
        return emission(update, peers)
    }

    /// With the last one of a page, all of it has been emitted.
    private func settled(_ emissions: [Emission]) -> [Emission] {
        guard let state, let last = emissions.indices.last else { return emissions }
        var emissions = emissions
        emissions[last].state = state
        return emissions
    }
}
