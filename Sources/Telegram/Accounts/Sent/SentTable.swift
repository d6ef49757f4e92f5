import SQLite

/// The messages that programs sent through a session, on disk: a file beside the session. Only one thread at a time may
/// use it.
///
/// `messages`: the id of each message, with the channel that numbers it (0 for private chats and basic groups, which share
/// one numbering), and when it was sent. `pending`: the messages whose ids are not known (yet), each with its chat, a digest
/// of its text (empty if the text is not known), and the time at which Telegram was asked to send it, all in seconds since 1970.
final class SentTable {
    /// The time, in seconds, for which ids are kept: longer than Telegram keeps updates for a listener that is away.
    private static let keptSeconds: Int64 = 30 * 86_400
    /// The distance, in seconds, at which a message may still be one whose id is not known.
    private static let pendingSeconds: Int64 = 3600
    /// The number of new rows after which old ones are deleted.
    private static let rowsBetweenDeletions = 1000

    private let database: PeerDatabase
    private var rowsUntilDeletion = 0

    /// Opens or creates the file, readable by its owner only.
    ///
    /// - Throws: `AccountError`, `sessionIO`; `damaged` when the file is no such database.
    init(_ path: String) throws(AccountError) {
        database = try PeerDatabase(path)
        try database.run(
            """
            CREATE TABLE IF NOT EXISTS messages (channel INTEGER NOT NULL, id INTEGER NOT NULL, sent INTEGER NOT NULL, \
            PRIMARY KEY (channel, id)) WITHOUT ROWID
            """)
        try database.run(
            """
            CREATE TABLE IF NOT EXISTS pending (number INTEGER PRIMARY KEY AUTOINCREMENT, chat INTEGER NOT NULL, \
            digest TEXT NOT NULL, sent INTEGER NOT NULL)
            """)
    }

    /// Notes messages that are about to be sent, and returns their numbers.
    func begin(_ messages: [PendingMessage]) throws(AccountError) -> [Int64] {
        var numbers: [Int64] = []
        try database.atomically { () throws(AccountError) in
            try deleteOld(before: messages.map(\.sentAt).min() ?? 0)
            for message in messages {
                try database.run(
                    "INSERT INTO pending (chat, digest, sent) VALUES (?, ?, ?)", .integer(message.chat),
                    .text(message.digest), .integer(message.sentAt))
                try database.run("SELECT last_insert_rowid()") { numbers.append($0.integer(0)) }
            }
        }
        return numbers
    }

    /// Notes the ids of messages, which are no longer pending.
    func finish(_ numbers: [Int64], _ ids: [MessageNumber], at now: Int64) throws(AccountError) {
        try database.atomically { () throws(AccountError) in
            for number in numbers { try database.run("DELETE FROM pending WHERE number = ?", .integer(number)) }
            for id in ids { try add(id, at: now) }
        }
    }

    private func add(_ id: MessageNumber, at now: Int64) throws(AccountError) {
        try database.run(
            "INSERT OR REPLACE INTO messages (channel, id, sent) VALUES (?, ?, ?)", .integer(id.channel),
            .integer(id.id), .integer(now))
    }

    /// Returns whether a message was sent through the session. A message that matches a pending one takes its place.
    func contains(_ message: SeenMessage) throws(AccountError) -> Bool {
        if try isNoted(message.number) { return true }
        var match: Int64?
        try database.run(
            """
            SELECT number FROM pending WHERE chat = ? AND digest IN (?, '') AND sent BETWEEN ? AND ? \
            ORDER BY digest = '', number LIMIT 1
            """, .integer(message.chat), .text(message.digest), .integer(message.date &- SentTable.pendingSeconds),
            .integer(message.date &+ SentTable.pendingSeconds)
        ) { match = $0.integer(0) }
        guard let match else { return false }
        try finish([match], [message.number], at: message.date)
        return true
    }

    /// Returns whether a message has this id, and was sent through the session.
    func isNoted(_ number: MessageNumber) throws(AccountError) -> Bool {
        var isKnown = false
        try database.run(
            "SELECT 1 FROM messages WHERE channel = ? AND id = ?", .integer(number.channel), .integer(number.id)
        ) { _ in isKnown = true }
        return isKnown
    }

    private func deleteOld(before now: Int64) throws(AccountError) {
        rowsUntilDeletion -= 1
        guard rowsUntilDeletion < 0 else { return }
        rowsUntilDeletion = SentTable.rowsBetweenDeletions
        for table in ["messages", "pending"] {
            try database.run("DELETE FROM \(table) WHERE sent < ?", .integer(now &- SentTable.keptSeconds))
        }
    }
}

/// Identifies a message of an account.
struct MessageNumber: Sendable, Hashable {
    /// The Bot API id of the channel or supergroup; 0 for other chats, which share one numbering.
    let channel: Int64
    let id: Int64

    init(chat: Int64, id: Int64) {
        if case .channel = PeerID(botAPI: chat) { channel = chat } else { channel = 0 }
        self.id = id
    }
}

/// A message that a program is about to send.
struct PendingMessage: Sendable, Equatable {
    /// The chat's Bot API id.
    let chat: Int64
    /// A digest of the text; empty if the text is not known, as that of a forwarded message.
    let digest: String
    let sentAt: Int64
}

/// A message that arrived in an update, and that the account itself wrote.
struct SeenMessage: Sendable, Equatable {
    let chat: Int64
    let number: MessageNumber
    let digest: String
    let date: Int64
}
