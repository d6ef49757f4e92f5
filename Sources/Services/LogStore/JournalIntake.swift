import JSON

/// Stores what `journalctl -o json` prints, together with how far the journal has been read.
///
/// One thread at a time may use it.
package final class JournalIntake {
    /// The longest entry: a message that is not UTF-8 is printed as numbers, four characters a byte.
    package static let longestEntry = 4 * FolderIntake.longestLine
    /// Entries that are left out move the cursor, too, but need not be noted at each commit.
    private static let longestUnnoted = Duration.seconds(10)

    private let name: String
    private let writer: LogWriter
    private let isWanted: (JournalEntry) -> Bool
    private let parser = JSONParser()
    private let lines = LogLineReader()
    private var moved: String?
    private var lastCommit = ContinuousClock.now

    /// - Parameters:
    ///   - name: tells apart journals that are read into one store.
    ///   - isWanted: selects the entries that are stored beside the lines of tgpipe's tools.
    package init(_ name: String, _ writer: LogWriter, isWanted: @escaping (JournalEntry) -> Bool) {
        (self.name, self.writer, self.isWanted) = (name, writer, isWanted)
    }

    /// The last entry that is stored or left out for good; nil if the journal was never read.
    package var cursor: String? { writer.cursors[name] }

    /// Takes an entry.
    ///
    /// - Parameter line: `JSONParser.paddingBytes` more bytes must be readable after it.
    package func take(_ line: UnsafeRawBufferPointer) throws {
        guard !line.isEmpty else { return }
        guard let view = try? parser.view(line, padded: true), let object = view.json.object,
            let entry = JournalEntry(object)
        else { return try writer.addMalformed(line.prefix(1000), "it is no entry of the journal", tool: "journal") }
        // Reading begins at the last entry, because journald may have removed it; then the next one is the first.
        if let found = entry.cursor, found == moved ?? cursor { return }
        if lines.isOwn(entry.text("MESSAGE") ?? "") || isWanted(entry) { try writer.add(entry, tool: "journal") }
        moved = entry.cursor ?? moved
        if writer.pending >= FolderIntake.mostLines { try commit() }
    }

    /// Reports an entry that is too long. Its cursor is unknown, and the next entry's stands for both.
    package func takeTooLong(_ beginning: some Sequence<UInt8>) throws {
        try writer.addMalformed(beginning.prefix(1000), "it has more than 4 MiB", tool: "journal")
    }

    /// Commits what is waiting, if it is time to.
    package func commitIfDue() throws {
        let waited = lastCommit.duration(to: .now)
        if writer.pending > 0 ? waited >= FolderIntake.longestWait : waited >= JournalIntake.longestUnnoted {
            try commit()
        }
    }

    package func commit() throws {
        try writer.commit(cursors: moved.map { [name: $0] } ?? [:])
        (moved, lastCommit) = (nil, .now)
    }

    /// Forgets what is not committed: the journal is to be read again from `cursor`.
    package func rollBack() {
        writer.rollBack()
        moved = nil
    }
}
