/// Names a message: private chats and basic groups count per account, so the same ids mean other messages for another owner.
package struct MessageKey: Hashable, Sendable {
    package var chatID: Int64
    package var messageID: Int64
    /// 0 for channels and supergroups, otherwise the account.
    package var ownerID: Int64

    /// The ids that messages can have. Telegram's have 32 bits; with more room than that, sums cannot overflow.
    static let ids: ClosedRange<Int64> = 1...(1 << 53)
}

/// One row of the table `messages`. Texts are in the arena of the batch that the row belongs to.
struct MessageRow {
    typealias Span = ByteArena.Span

    /// The part that an edit replaces as a whole.
    struct Content {
        /// The time of the message in seconds since 1970.
        var date: Int64
        var editDate: Int64?
        var pts: Int64?
        /// The time at which this content was told first, in microseconds since 1970.
        var seenAt: Int64
        /// The account that it was told to.
        var accountID: Int64?
        var senderID: Int64?
        var replyToID: Int64?
        var topicID: Int64?
        var albumID: Int64?
        var forwardFromID: Int64?
        var forwardMessageID: Int64?
        var forwardDate: Int64?
        var forwardName = Span.absent
        var text = Span.absent
        var service: StaticString?
        var media: StaticString?
        var fileUniqueID = Span.absent
        /// The message as it was written in the event.
        var raw = Span.absent
    }

    /// The figures that change without an edit.
    struct Counters {
        /// The time at which they were told, in microseconds since 1970.
        var countedAt: Int64
        var views: Int64?
        var forwards: Int64?
        var replies: Int64?
        /// A list of the Bot API's `ReactionCount`.
        var reactions = Span.absent
    }

    var key: MessageKey
    /// Nil for a message of which only the deletion is known.
    var content: Content?
    var counters: Counters?
    /// The time at which the deletion was told, in microseconds since 1970.
    var deletedAt: Int64?
    /// The event as it came, without its line feed.
    var line = Span.absent
}

extension MessageRow.Content {
    /// Returns whether this content takes the place of an older one. The statement in `MessageSQL` decides in the same way.
    func isNewer(than old: MessageRow.Content, in arena: ByteArena) -> Bool {
        let (edit, oldEdit) = (editDate ?? 0, old.editDate ?? 0)
        if edit != oldEdit { return edit > oldEdit }
        guard pts ?? 0 > old.pts ?? 0 else { return false }
        return editDate != nil || !arena.areEqual(raw, old.raw)
    }
}

extension MessageRow {
    /// Takes another row of the same message in, whichever of them came first.
    ///
    /// - Returns: the content that is superseded, if there is one.
    mutating func merge(_ other: MessageRow, in arena: ByteArena) -> Content? {
        deletedAt = [deletedAt, other.deletedAt].compactMap { $0 }.min()
        mergeCounters(other, in: arena)
        guard let new = other.content else { return nil }
        guard let old = content else {
            (content, line) = (new, other.line)
            return nil
        }
        if new.isNewer(than: old, in: arena) {
            (content, line) = (new, other.line)
            return old
        }
        if new.editDate == old.editDate, new.pts == old.pts, new.seenAt < old.seenAt {
            content?.seenAt = new.seenAt
            content?.accountID = new.accountID
        }
        return new
    }

    private mutating func mergeCounters(_ other: MessageRow, in arena: ByteArena) {
        guard let new = other.counters else { return }
        guard let old = counters else {
            counters = new
            return
        }
        let areEqual =
            old.views == new.views && old.forwards == new.forwards && old.replies == new.replies
            && arena.areEqual(old.reactions, new.reactions)
        if areEqual ? new.countedAt < old.countedAt : new.countedAt > old.countedAt { counters = new }
    }
}
