/// Messages of which updates were lost, so that their present state is unknown.
package struct UpdateHole: Sendable, Equatable {
    /// The reason of a loss.
    package enum Reason: String, Sendable {
        case tooLong = "Telegram no longer has all missed updates"
        case positionUnknown = "Telegram does not know the position of the last update"
        case refused = "Telegram refuses the missed updates"
    }

    /// The channel or supergroup by its Bot API id; nil for all private chats and basic groups of the account.
    package let chatID: Int64?
    /// The highest id that is concerned; nil for all.
    package let to: Int64?
    package let reason: Reason
    /// The position of the channel's updates after the loss, if it is known.
    package var pts: Int64?
}

/// Collects the holes until they are reported.
package struct UpdateHoles: Sendable {
    private var holes: [UpdateHole] = []

    /// - Parameter newest: the newest message that is known, after which messages are read from the history; nil if they are not read.
    mutating func note(_ box: BoxID, newest: Int64?, _ reason: UpdateHole.Reason, pts: Int64? = nil) {
        holes.append(
            UpdateHole(
                chatID: box.chatID, to: newest.flatMap { $0 > 0 ? $0 : nil }, reason: reason,
                pts: box.channel == nil ? nil : pts))
    }

    /// Returns and removes the holes.
    package mutating func take() -> [UpdateHole] {
        defer { holes = [] }
        return holes
    }
}
