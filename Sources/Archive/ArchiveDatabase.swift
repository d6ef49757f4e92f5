package import System

/// Describes why an archive cannot be used as it is.
package struct ArchiveError: ReportableError, CustomStringConvertible {
    package let exitStatus: ExitStatus
    package let message: String
    /// Is true if the database can be used, but has no archive yet.
    let isMissing: Bool

    package init(_ exitStatus: ExitStatus, _ message: String) {
        (self.exitStatus, self.message, isMissing) = (exitStatus, message, false)
    }

    init(missingIn place: String) {
        exitStatus = .configuration
        message = "\(place) has no archive yet: msg-store load makes it"
        isMissing = true
    }

    package var description: String { message }
}

/// Tells what a failure of the database means for the rows that were to be stored.
enum StoreFailure {
    /// Another attempt may succeed.
    case transient
    /// One of the rows can never be stored.
    case row
    /// Nothing can be stored until a person has done something.
    case fatal
}

/// A value for a parameter of a statement.
enum ArchiveValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    init(_ integer: Int64?) { self = integer.map { .integer($0) } ?? .null }
    init(_ text: String?) { self = text.map { .text($0) } ?? .null }
}

/// One row of a result, valid only where it is handed over. Columns are numbered from 0.
protocol ArchiveRow {
    func isNull(_ column: Int) -> Bool
    func integer(_ column: Int) -> Int64
    func text(_ column: Int) -> String
    func blob(_ column: Int) -> [UInt8]
}

extension ArchiveRow {
    func optionalInteger(_ column: Int) -> Int64? { isNull(column) ? nil : integer(column) }
    func optionalText(_ column: Int) -> String? { isNull(column) ? nil : text(column) }
}

/// The form in which the archive keeps the messages as they were written.
package enum RawForm: String, Sendable, CaseIterable {
    case text
    case jsonb
    case zstd
    case none
}

/// Tells how rows are to be stored.
struct StoringRows {
    /// Is true if the keys of the rows that are new are to be returned.
    var needsKeys: Bool
    /// Is true if the archive had none of the rows a moment ago. Storing may fail if it has one.
    var areNew: Bool
    /// Is true if the table `counters` keeps the figures, too.
    var keepsCounters: Bool
}

/// A database that has the archive's tables. Its calls block; one thread at a time may use it.
///
/// Statements are written once for all databases: parameters are `$1`, `$2`, … in the order in which they first appear.
protocol ArchiveDatabase: AnyObject {
    var dialect: SQLDialect { get }
    var rawForm: RawForm { get }
    /// The number of messages that were inserted or updated so far.
    var changedMessages: Int { get }

    /// Runs a statement, which stays prepared.
    ///
    /// - Returns: the number of rows that were changed, or returned.
    @discardableResult
    func run(_ sql: String, _ values: [ArchiveValue], row: (any ArchiveRow) throws -> Void) throws -> Int

    /// Hands over rows while they arrive, so that their number does not matter for memory.
    func stream(_ sql: String, _ values: [ArchiveValue], row: (any ArchiveRow) throws -> Bool) throws

    /// Hands over the ids of a chat's messages in order.
    func streamIDs(of chat: ChatKey, _ take: (Int64) -> Void) throws

    func execute(_ sql: String) throws

    /// Runs `body` in a transaction: all of its changes are kept, or, when it throws, none.
    func transaction<Value>(_ body: () throws -> Value) throws -> Value

    /// Runs `body` in a transaction that only reads, and sees one state of the database.
    func snapshot<Value>(_ body: () throws -> Value) throws -> Value

    /// Makes this transaction the only one that changes the ranges of a chat.
    func lockRanges(of chat: ChatKey) throws

    /// Inserts and updates messages within a transaction.
    ///
    /// - Returns: the keys of the rows that are new, if they are needed.
    func store(_ rows: RowSelection, _ options: StoringRows) throws -> [MessageKey]

    func storeUsers(_ users: [Int64: UserRow]) throws

    /// Returns the text of a stored message, given the column `raw`.
    func rawText(_ row: any ArchiveRow, _ column: Int) throws -> [UInt8]?

    func failure(of error: any Error) -> StoreFailure

    /// Returns what waits until all commits before it are on the disk, on any thread; nil if each commit waits for that itself.
    func commitSync() throws -> (@Sendable () throws -> Void)?
}

extension ArchiveDatabase {
    @discardableResult
    func run(_ sql: String, _ values: [ArchiveValue] = []) throws -> Int { try run(sql, values) { _ in } }

    func commitSync() throws -> (@Sendable () throws -> Void)? { nil }

    /// Returns the first row's value that `read` takes; nil without a row.
    func first<Value>(_ sql: String, _ values: [ArchiveValue] = [], _ read: (any ArchiveRow) -> Value) throws -> Value?
    {
        var found: Value?
        try run(sql, values) { row in if found == nil { found = read(row) } }
        return found
    }
}

/// The differences between the databases in their SQL.
enum SQLDialect: Sendable {
    case postgres
    case sqlite

    /// Returns an expression for a stored time, given microseconds since 1970.
    func time(_ microseconds: String) -> String {
        switch self {
        case .postgres: "(TIMESTAMPTZ 'epoch' + CAST(\(microseconds) AS BIGINT) * INTERVAL '1 microsecond')"
        case .sqlite: microseconds
        }
    }

    /// Returns an expression for the microseconds since 1970 of a stored time.
    func microseconds(_ column: String) -> String {
        switch self {
        case .postgres: "CAST(EXTRACT(EPOCH FROM \(column)) * 1000000 AS BIGINT)"
        case .sqlite: column
        }
    }

    /// Returns an expression for the seconds since 1970 of a time of Telegram.
    func seconds(_ column: String) -> String {
        switch self {
        case .postgres: "CAST(EXTRACT(EPOCH FROM \(column)) AS BIGINT)"
        case .sqlite: column
        }
    }

    /// Returns an expression for a time of Telegram, given seconds since 1970.
    func messageTime(_ seconds: String) -> String {
        switch self {
        case .postgres: time("(CAST(\(seconds) AS BIGINT) * 1000000)")
        case .sqlite: seconds
        }
    }

    /// Returns a parameter that is a whole number, wherever it stands.
    func integer(_ parameter: String) -> String { "CAST(\(parameter) AS BIGINT)" }

    /// Returns a parameter that is JSON.
    func json(_ parameter: String) -> String {
        self == .postgres ? "CAST(CAST(\(parameter) AS TEXT) AS JSONB)" : parameter
    }

    var integerType: String { self == .postgres ? "bigint" : "INTEGER" }
    var timeType: String { self == .postgres ? "timestamptz" : "INTEGER" }
    var textType: String { self == .postgres ? "text" : "TEXT" }
    var blobType: String { self == .postgres ? "bytea" : "BLOB" }
    var booleanType: String { self == .postgres ? "boolean" : "INTEGER" }
}
