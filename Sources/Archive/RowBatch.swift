import JSON
import Payloads

/// Collects what is to be stored in one transaction, each message once.
///
/// One thread at a time may use it: the reader fills it, the writer then stores it.
package final class RowBatch: @unchecked Sendable {
    /// The limits after which a batch is stored.
    package static let mostRows = 5000
    package static let mostBytes = 8 << 20

    let arena = ByteArena()
    private(set) var rows: [MessageRow] = []
    private var places: [MessageKey: Int] = [:]
    /// Earlier contents of messages that are in this batch in a later form.
    private(set) var superseded: [(key: MessageKey, content: MessageRow.Content)] = []
    /// The figures of messages that came several times, if they are kept over time.
    private(set) var counted: [(key: MessageKey, counters: MessageRow.Counters)] = []
    private let keepsCounters: Bool
    var notes: [ArchiveNote] = []
    var users: [Int64: UserRow] = [:]
    var chats: [ChatKey: ChatRow] = [:]
    /// The number of messages that came, repeated ones included.
    package private(set) var received = 0

    /// - Parameter keepsCounters: whether the figures of a message that came several times are all kept.
    package init(keepsCounters: Bool = false) {
        self.keepsCounters = keepsCounters
        rows.reserveCapacity(RowBatch.mostRows)
        places.reserveCapacity(RowBatch.mostRows)
    }

    package var isEmpty: Bool { rows.isEmpty && notes.isEmpty && chats.isEmpty }
    package var isFull: Bool {
        received >= RowBatch.mostRows || arena.used >= RowBatch.mostBytes || notes.count >= RowBatch.mostRows
    }

    func add(_ row: MessageRow) {
        received += 1
        if let place = places[row.key] {
            if keepsCounters {
                counted += [rows[place].counters, row.counters].compactMap { $0 }.map { (row.key, $0) }
            }
            if let old = rows[place].merge(row, in: arena) { superseded.append((row.key, old)) }
        } else {
            places[row.key] = rows.count
            rows.append(row)
        }
    }

    package func removeAll() {
        arena.removeAll()
        rows.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        superseded.removeAll(keepingCapacity: true)
        counted.removeAll(keepingCapacity: true)
        notes.removeAll(keepingCapacity: true)
        users.removeAll(keepingCapacity: true)
        chats.removeAll(keepingCapacity: true)
        received = 0
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
