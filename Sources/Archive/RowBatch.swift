import JSON
import Payloads

/// Collects what is to be stored in one transaction.
///
/// One thread at a time may use it: the reader fills it, the writer then stores it.
package final class RowBatch: @unchecked Sendable {
    /// The limits after which a batch is stored. Larger ones would take more memory, and would not be faster.
    package static let mostRows = 2500
    package static let mostBytes = 4 << 20

    let arena = ByteArena()
    /// The messages in the order in which they came.
    private(set) var rows: [MessageRow] = []
    /// Earlier contents of messages that are in this batch in a later form; known after `arranged`.
    private(set) var superseded: [(key: MessageKey, content: MessageRow.Content)] = []
    /// The figures of messages that came several times, if they are kept over time; known after `arranged`.
    private(set) var counted: [(key: MessageKey, counters: MessageRow.Counters)] = []
    private let keepsCounters: Bool
    private var places: [Int] = []
    private var arrangedRows = 0
    var notes: [ArchiveNote] = []
    var users: [Int64: UserRow] = [:]
    var chats: [ChatKey: ChatRow] = [:]

    /// - Parameter keepsCounters: whether the figures of a message that came several times are all kept.
    package init(keepsCounters: Bool = false) {
        self.keepsCounters = keepsCounters
        rows.reserveCapacity(RowBatch.mostRows)
    }

    /// The number of messages that came, repeated ones included.
    package var received: Int { rows.count }

    package var isEmpty: Bool { rows.isEmpty && notes.isEmpty && chats.isEmpty }
    package var isFull: Bool {
        rows.count >= RowBatch.mostRows || arena.used >= RowBatch.mostBytes || notes.count >= RowBatch.mostRows
    }

    func add(_ row: MessageRow) { rows.append(row) }

    /// Returns the messages in the order of their keys, each once, in the form that stays.
    ///
    /// Sorting takes less time than looking each message up in a dictionary, and rows in the order of their keys are stored
    /// faster.
    func arranged() -> RowSelection {
        if arrangedRows != rows.count { arrange() }
        return RowSelection(batch: self, places: places[...])
    }

    private func arrange() {
        superseded.removeAll(keepingCapacity: true)
        counted.removeAll(keepingCapacity: true)
        // Of equal keys, the one that came first is the first.
        let sorted = rows.indices.map { PlacedKey(key: rows[$0].key, place: $0) }.sorted()
        places.removeAll(keepingCapacity: true)
        var last: MessageKey?
        for next in sorted {
            if next.key == last, let kept = places.last {
                if keepsCounters {
                    counted += [rows[kept].counters, rows[next.place].counters].compactMap { $0 }.map { (next.key, $0) }
                }
                if let old = rows[kept].merge(rows[next.place], in: arena) { superseded.append((next.key, old)) }
            } else {
                places.append(next.place)
                last = next.key
            }
        }
        arrangedRows = rows.count
    }

    package func removeAll() {
        arena.removeAll()
        rows.removeAll(keepingCapacity: true)
        superseded.removeAll(keepingCapacity: true)
        counted.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        arrangedRows = 0
        notes.removeAll(keepingCapacity: true)
        users.removeAll(keepingCapacity: true)
        chats.removeAll(keepingCapacity: true)
    }
}

/// A message's key, and where the message is in its batch.
private struct PlacedKey: Comparable {
    let key: MessageKey
    let place: Int

    static func < (left: PlacedKey, right: PlacedKey) -> Bool {
        if left.key.chatID != right.key.chatID { return left.key.chatID < right.key.chatID }
        if left.key.ownerID != right.key.ownerID { return left.key.ownerID < right.key.ownerID }
        if left.key.messageID != right.key.messageID { return left.key.messageID < right.key.messageID }
        return left.place < right.place
    }
}

/// Some of a batch's messages, in the order of their chats and ids, each once.
struct RowSelection: RandomAccessCollection {
    let batch: RowBatch
    let places: ArraySlice<Int>

    var arena: ByteArena { batch.arena }
    var startIndex: Int { places.startIndex }
    var endIndex: Int { places.endIndex }

    subscript(index: Int) -> MessageRow { batch.rows[places[index]] }
    /// The keys of the messages, which are looked at without a copy of the rows.
    var keys: some Sequence<MessageKey> { places.lazy.map { [batch] in batch.rows[$0].key } }

    /// Hands over the messages in order, without a copy.
    func forEachRow<Failure: Error>(
        _ body: (MessageRow) throws(Failure) -> Void
    ) throws(Failure) {
        try batch.rows.withUnsafeBufferPointer { rows throws(Failure) in
            for place in places { try body(rows[place]) }
        }
    }

    subscript(range: Range<Int>) -> RowSelection { RowSelection(batch: batch, places: places[range]) }

    /// Returns those of the messages that a test accepts, and the others.
    func partitioned(by isSecond: (MessageRow) -> Bool) -> (RowSelection, RowSelection) {
        var (first, second): ([Int], [Int]) = ([], [])
        for place in places { if isSecond(batch.rows[place]) { second.append(place) } else { first.append(place) } }
        return (RowSelection(batch: batch, places: first[...]), RowSelection(batch: batch, places: second[...]))
    }
}

/// Holds the contents of an event that is no message. Notes keep the order in which their events came.
enum ArchiveNote {
    /// The messages that exist in a range; with their ids, if this process has just read them.
    case range(HistoryRange, toldAt: Int64, ids: [Int64]?)
    case hole(HistoryHole, toldAt: Int64)
    /// Messages of the account's private chats and basic groups were deleted; Telegram does not tell in which chat.
    case deletion(ownerID: Int64, messageIDs: [Int64], at: Int64)
    /// The reactions to a message, of which nothing else is told.
    case reactions(MessageKey, JSON, at: Int64)
    case topic(ChatKey, topicID: Int64, name: String?, isClosed: Bool?, at: Int64)
    case media(MediaNote)
}

package struct ChatKey: Hashable, Sendable {
    package var chatID: Int64
    package var ownerID: Int64

    package init(_ chatID: Int64, ownerID: Int64) { (self.chatID, self.ownerID) = (chatID, ownerID) }
}

/// Represents a row of the table `chats`; nil stands for a value that no event has told.
struct ChatRow: Sendable {
    var type: String?
    var title: String?
    var username: String?
    var linkedChatID: Int64?
    var migratedFromChatID: Int64?
    var migratedFromMaxID: Int64?
    /// The channel whose comments are all that is read of this group.
    var commentsOfID: Int64?
    /// The highest id that was told, and the number of messages.
    var newestID: Int64?
    var total: Int64?
    var seenAt: Int64
}

/// Represents a row of the table `users`; nil stands for a value that no event has told.
struct UserRow: Sendable, Equatable {
    var firstName: String?
    var lastName: String?
    var username: String?
    var isBot: Bool
    var seenAt: Int64
}
