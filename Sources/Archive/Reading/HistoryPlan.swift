package import Payloads

/// Decides which parts of a chat's history are to be read.
package struct HistoryPlan: Sendable {
    /// The ids of one command at most, so that several processes can share a long hole.
    package var spanIDs: Int64 = 10_000
    /// Messages before this time are not wanted: seconds since 1970, and as it was written.
    package var since: (seconds: Int64, text: String)?
    /// The number of messages that are wanted, from the newest on.
    package var last: Int64?
    /// Is true if the plan also asks for messages that are newer than all known ones.
    package var asksForNew = true
    /// The number of known messages, from the newest on, that are asked for again.
    package var refreshed: Int64?

    /// Where private chats and basic groups have short runs of known messages between holes, they are read again: each account
    /// counts the messages of all these chats together, so that there would be a hole between almost any two messages.
    private static let shortRun: Int64 = 100

    package init() {}

    /// Returns the commands for a chat that the archive does not know.
    package func commands(forUnknown chat: ChatID, accountID: Int64?) -> [HistoryCommand] {
        [HistoryCommand(chat, accountID: accountID, since: since?.text, last: last)]
    }

    /// Returns the commands for what is missing of a chat, the newest messages first.
    ///
    /// Messages that the database has refused are not asked for: `msg-store replay` has them.
    ///
    /// - Parameters:
    ///   - floor: holes that end below this id are not wanted.
    ///   - refreshed: known messages from this id on are asked for again.
    ///   - accountID: the account that is to read a channel or supergroup; nil for any.
    package func commands(
        for inspection: ChatInspection, floor: Int64?, refreshed: Int64? = nil, accountID: Int64?
    ) -> [HistoryCommand] {
        let chat = ChatID.id(inspection.chat.chatID)
        let account = inspection.chat.ownerID == 0 ? accountID : inspection.chat.ownerID
        var commands: [HistoryCommand] = []
        var missing = [IDSpan].joined(inspection.holes + inspection.outdated).without(inspection.failures)
        if asksForNew || inspection.openFrom != nil || refreshed != nil {
            let known = [inspection.openFrom, refreshed].compactMap { $0 }.reduce(inspection.top) { min($0, $1 - 1) }
            commands.append(
                HistoryCommand(
                    chat, accountID: account, fromID: known > 0 ? known + 1 : nil, since: since?.text, last: last))
            // That command asks for all that is newer.
            if since == nil, last == nil { missing = missing.below(known + 1) }
        }
        let wanted = missing.filter { $0.to >= floor ?? .min }
        let holes = inspection.chat.ownerID == 0 ? wanted : HistoryPlan.joiningNear(wanted)
        for hole in holes.reversed() {
            for span in pieces(of: hole, from: floor).reversed() {
                commands.append(
                    HistoryCommand(
                        chat, accountID: account, fromID: span.from, toID: span.to, since: since?.text))
            }
        }
        return commands
    }

    /// A hole is cut into this number of commands at most: a highest id that nobody can believe must not fill the memory.
    private static let mostPieces: Int64 = 20_000

    private func pieces(of hole: IDSpan, from floor: Int64?) -> [IDSpan] {
        var pieces: [IDSpan] = []
        var from = last == nil ? hole.from : max(hole.from, floor ?? hole.from)
        let size = max(spanIDs, (hole.to - hole.from) / HistoryPlan.mostPieces + 1)
        while from <= hole.to {
            let to = hole.to - from < size ? hole.to : from + size - 1
            pieces.append(IDSpan(from: from, to: to))
            guard to < hole.to else { break }
            from = to + 1
        }
        return pieces
    }

    private static func joiningNear(_ holes: [IDSpan]) -> [IDSpan] {
        var joined: [IDSpan] = []
        for hole in holes {
            if let last = joined.last, hole.from - last.to <= shortRun {
                joined[joined.count - 1].to = hole.to
            } else {
                joined.append(hole)
            }
        }
        return joined
    }
}
