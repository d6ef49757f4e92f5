package import Logging
import Payloads
import PostgreSQL
import SQLite
package import System

/// Stores batches, each in one transaction; waits while the database is away, and sets aside rows that can never be stored.
///
/// Its calls block, so it belongs on a thread of its own; only one thread at a time may use it.
package final class ArchiveWriter: @unchecked Sendable {
    package struct Settings: Sendable {
        /// The form in which messages are kept; nil for that of the archive.
        package var rawForm: RawForm?
        /// Is true if the table `counters` keeps the earlier counters of messages, too.
        package var keepsCounters = false
        /// The number of messages, counted from the newest, that are read again after updates of a chat were lost.
        package var refreshedMessages: Int64 = 5000
        /// The file to which the events that cannot be stored are appended.
        package var failuresPath: String
        package var backoff = Backoff(first: .milliseconds(100), longest: .seconds(10))

        package init(failuresPath: String) { self.failuresPath = failuresPath }
    }

    private let address: ArchiveAddress
    private let name: String
    private let settings: Settings
    private let log: Logger
    private let pause: (Duration) -> Bool
    private var database: (any ArchiveDatabase)?
    /// Waits until all that was stored before is on the disk; nil if `store` does so. Any thread may call it.
    package let sync: (@Sendable () throws -> Void)?
    /// The number of events that were set aside.
    package private(set) var failures = 0
    /// The number of messages that were inserted or updated.
    package private(set) var changedMessages = 0

    /// Opens the archive, and makes it if it does not exist. What is stored is safe once `sync` has returned after it.
    ///
    /// - Parameters:
    ///   - name: is shown in the database's list of connections.
    ///   - pause: waits on the caller's thread; returns false if the tool is to end.
    /// - Throws: `ArchiveError`, `PostgresError` and `SQLiteError` if the database cannot be used.
    package init(
        _ address: ArchiveAddress, name: String, settings: Settings, log: Logger,
        pause: @escaping (Duration) -> Bool
    ) throws {
        (self.address, self.name, self.settings, self.log, self.pause) = (address, name, settings, log, pause)
        let open = try address.open(name: name, wanted: settings.rawForm, creates: true, syncsLater: true)
        (database, sync) = (open, try open.commitSync())
    }

    /// Stores a batch; returns once it is committed. The batch stays as it is.
    ///
    /// - Throws: a failure that no other attempt overcomes; any failure once the tool is to end.
    package func store(_ batch: RowBatch) throws {
        do {
            do { try store(batch, copiesNew: true) } catch is RowRefused { try store(batch, copiesNew: false) }
        } catch let error as RowRefused {
            log.warning("a batch has events that the database refuses, so it is stored in parts: \(error.reason)")
            try storeInParts(batch)
        }
    }

    private func store(_ batch: RowBatch, copiesNew: Bool) throws {
        try retrying { database in
            let writer = BatchWriter(database, batch, self.settings)
            try database.transaction { try writer.storeAll(copiesNew: copiesNew) }
        }
    }

    // MARK: Retrying

    /// Says that the database refuses one of the rows.
    private struct RowRefused: Error {
        let reason: String
    }

    /// Runs `body` until the database answers. It may run several times, even after a success whose answer was lost.
    private func retrying(_ body: (any ArchiveDatabase) throws -> Void) throws {
        var backoff = settings.backoff
        var isAway = false
        while true {
            var failed: (any Error)?
            var isOpening = false
            do {
                isOpening = database == nil
                // Only a connection to a server is opened again, whose commits are on the disk.
                let open = try database ?? address.open(name: name, wanted: settings.rawForm, creates: true)
                database = open
                isOpening = false
                let before = open.changedMessages
                try body(open)
                changedMessages += open.changedMessages - before
                if isAway { log.notice("the database is back") }
                return
            } catch {
                failed = error
            }
            guard let error = failed else { continue }
            let words = (error as? any ReportableError)?.message ?? "\(error)"
            switch kind(of: error, isOpening: isOpening) {
            case .row: throw RowRefused(reason: words)
            case .fatal: throw error
            case .transient: break
            }
            if !isAway { log.warning("the database cannot store now: \(words); trying again until it can") }
            isAway = true
            if let open = database, open is PostgresArchive { database = nil }
            guard pause(backoff.next()) else { throw error }
        }
    }

    private func kind(of error: any Error, isOpening: Bool) -> StoreFailure {
        if !isOpening, let database { return database.failure(of: error) }
        if let error = error as? PostgresError { return error.code == .transient ? .transient : .fatal }
        return (error as? SQLiteError)?.code == .busy ? .transient : .fatal
    }

    // MARK: Setting rows aside

    /// Stores what can be stored of a batch, in transactions of its parts.
    private func storeInParts(_ batch: RowBatch) throws {
        let (rows, suspects) = batch.arranged().partitioned(by: batch.isSuspect)
        try storePart(rows, of: batch)
        for index in suspects.indices { try storePart(suspects[index..<index + 1], of: batch) }
        do {
            try retrying { database in
                let writer = BatchWriter(database, batch, self.settings)
                try database.transaction { try writer.storeRest() }
            }
        } catch let error as RowRefused {
            // Names and ranges do not come as rows, so that their parts cannot be told apart.
            log.error("the database refuses what a batch tells of chats and ranges: \(error.reason)")
            throw ArchiveError(.bug, "the database refuses what a batch tells of chats and ranges: \(error.reason)")
        }
    }

    private func storePart(_ rows: RowSelection, of batch: RowBatch) throws {
        guard !rows.isEmpty else { return }
        do {
            try retrying { database in
                let writer = BatchWriter(database, batch, self.settings)
                try database.transaction { try writer.storePart(rows) }
            }
        } catch let error as RowRefused {
            guard rows.count > 1 else { return try setAside(rows, of: batch, error.reason) }
            let middle = rows.startIndex + rows.count / 2
            try storePart(rows[rows.startIndex..<middle], of: batch)
            try storePart(rows[middle..<rows.endIndex], of: batch)
        }
    }

    private func setAside(_ rows: RowSelection, of batch: RowBatch, _ reason: String) throws {
        guard let row = rows.first, let line = batch.arena.bytes(row.line) else { return }
        let failure = FailedEvent(key: row.key, line: Array(line), reason: reason)
        log.error(
            "the database refuses an event, which is set aside for msg-store replay: \(reason)",
            metadata: ["chat": "\(row.key.chatID)", "message": "\(row.key.messageID)"])
        try FailureFile(path: settings.failuresPath).append(failure.line)
        do {
            try retrying { database in try database.transaction { try failure.save(in: database) } }
        } catch let error as RowRefused {
            throw ArchiveError(.bug, "a failure cannot be noted: \(error.reason)")
        }
        failures += 1
    }
}

extension RowBatch {
    /// Returns whether a database is likely to refuse a row.
    fileprivate func isSuspect(_ row: MessageRow) -> Bool {
        guard let content = row.content else { return false }
        // The years 1970 to 9999.
        let times = [content.date, content.editDate ?? 0, content.forwardDate ?? 0]
        if times.contains(where: { !(0...253_402_300_799).contains($0) }) { return true }
        let texts = [content.text, content.forwardName, content.fileUniqueID].compactMap { arena.bytes($0) }
        return texts.contains { $0.contains(0) } || arena.bytes(content.raw).map(\.hasEscapedNUL) ?? false
    }
}
