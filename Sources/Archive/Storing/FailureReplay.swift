import JSON
import System

/// Stores the events again that the database refused.
package final class FailureReplay {
    package struct Outcome: Sendable {
        package var stored = 0
        /// The number of stored events that had to be changed first.
        package var changed = 0
        package var left = 0
    }

    private let database: any ArchiveDatabase
    private let events = EventReader()
    private let batch = RowBatch()

    package init(_ address: ArchiveAddress, name: String) throws { database = try address.open(name: name) }

    /// Tries each of the events.
    ///
    /// - Parameter isExact: whether an event may only be stored as it came.
    package func run(isExact: Bool) throws -> Outcome {
        var outcome = Outcome()
        var last = ""
        // One at a time, since all of them together may be too much for memory.
        while let failure = try next(after: last) {
            last = failure.id
            if try store(failure.line, id: failure.id) {
                outcome.stored += 1
            } else if !isExact, let repaired = FailureReplay.repaired(failure.line),
                try store(repaired, id: failure.id)
            {
                outcome.stored += 1
                outcome.changed += 1
            } else {
                outcome.left += 1
            }
        }
        return outcome
    }

    private func next(after id: String) throws -> (id: String, line: [UInt8])? {
        try database.first("SELECT id, line FROM failures WHERE id > $1 ORDER BY id LIMIT 1", [.text(id)]) {
            ($0.text(0), $0.blob(1))
        }
    }

    /// Returns whether the event could be stored. It is no failure any more then.
    private func store(_ line: [UInt8], id: String) throws -> Bool {
        batch.removeAll()
        events.forgetKnown()
        guard case .taken = Line(line).withBytes({ events.read($0, into: batch) }) else { return false }
        do {
            let writer = BatchWriter(database, batch, ArchiveWriter.Settings(failuresPath: ""))
            try database.transaction {
                try writer.storeAll()
                try database.run("DELETE FROM failures WHERE id = $1", [.text(id)])
            }
            return true
        } catch  where database.failure(of: error) == .row {
            return false
        }
    }

    /// Returns an event without what databases refuse: NUL characters, and times after the year 9999.
    static func repaired(_ line: [UInt8]) -> [UInt8]? {
        guard let json = try? JSON(parsing: line) else { return nil }
        let repaired = json.repaired(key: "")
        return repaired == json ? nil : repaired.bytes
    }
}

extension JSON {
    private static let times: Set = ["date", "edit_date", "forward_date"]
    private static let latest: Int64 = 253_402_300_799

    /// The value as every database takes it.
    var storable: JSON { widelyAccepted.repaired(key: "") }

    fileprivate func repaired(key: String) -> JSON {
        switch self {
        case .string(let text) where text.utf8.contains(0): .string(text.storable)
        case .escaped(let text, _) where text.utf8.contains(0): .string(text.storable)
        case .integer(let number) where JSON.times.contains(key):
            .integer(Swift.min(Swift.max(0, number), JSON.latest))
        case .array(let items): .array(items.map { $0.repaired(key: "") })
        case .object(let object):
            .object(
                JSONObject(
                    object.members.map {
                        JSONObject.Member(
                            key: $0.key.storable, value: $0.value.repaired(key: $0.key))
                    }))
        default: self
        }
    }
}

extension ArchiveReader {
    /// Returns the events that the database has refused, as they came.
    package func failedLines() throws -> [[UInt8]] {
        var lines: [[UInt8]] = []
        try database.run("SELECT line FROM failures ORDER BY failed_at, id", []) { lines.append($0.blob(0)) }
        return lines
    }
}
