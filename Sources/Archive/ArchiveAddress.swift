package import PostgreSQL
import System

/// Tells which database has the archive.
package enum ArchiveAddress: Sendable, CustomStringConvertible {
    case postgres(PostgresAddress)
    /// A file of SQLite.
    case file(String)

    /// Reads `postgresql://…`, or a path.
    ///
    /// - Throws: `PostgresError` (78), `ArchiveError` (78) for an address of another kind.
    package init(_ text: String) throws {
        if PostgresAddress.isAddress(text) {
            self = .postgres(try PostgresAddress(parsing: text))
        } else if text.hasPrefix("sqlite:") {
            self = .file(String(text.dropFirst(7)))
        } else if text.contains("://") {
            throw ArchiveError(
                .configuration, "the database's address must begin with postgresql://, or be the path of a SQLite file")
        } else {
            self = .file(text)
        }
    }

    /// Is true if the address holds a password, which must not be visible in arguments.
    package var hasPassword: Bool {
        if case .postgres(let address) = self { address.hasPassword } else { false }
    }

    package var description: String {
        switch self {
        case .postgres(let address): address.description
        case .file(let path): path
        }
    }

    /// Opens the archive.
    ///
    /// - Parameters:
    ///   - wanted: the form in which messages are to be kept; nil for that of the archive, or text for a new one.
    ///   - creates: whether a missing archive is made, and rows are to be stored.
    ///   - syncsLater: whether commits need not wait for the disk, because `commitSync` is used.
    func open(
        name: String, wanted: RawForm? = nil, creates: Bool = false, syncsLater: Bool = false
    ) throws -> any ArchiveDatabase {
        switch self {
        case .postgres(let address):
            try PostgresArchive(address, name: name, wanted: wanted, creates: creates)
        case .file(let path):
            try SQLiteArchive(path, wanted: wanted, creates: creates, syncsLater: syncsLater)
        }
    }
}
