import CSQLite
package import System

/// Describes why SQLite refused an operation.
package struct SQLiteError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Another connection holds a lock, and did not release it within the busy timeout.
        case busy
        /// The database or its file may only be read.
        case readOnly = "read_only"
        /// The file's content is not whole.
        case corrupt
        /// The file is no SQLite database.
        case notADatabase = "not_a_database"
        case cannotOpen = "cannot_open"
        /// The disk is full, or a limit on the file's size is reached.
        case full
        case inputOutput = "input_output"
        /// A row violates a constraint of its table.
        case constraint
        /// A value or a statement is longer than the limits of SQLite or of this connection allow.
        case tooBig = "too_big"
        /// The statement is wrong, or was used in a wrong way.
        case invalidStatement = "invalid_statement"
        case other
    }

    package let code: Code
    /// SQLite's words for the kind of error, or the system's when the file cannot be opened: `database is locked`.
    package let reason: String
    /// SQLite's words for this very error: `UNIQUE constraint failed: peers.id`; nil when there are none.
    package let detail: String?

    package init(_ code: Code, _ reason: String, detail: String? = nil) {
        self.code = code
        self.reason = reason
        self.detail = detail == reason ? nil : detail
    }

    /// Describes a status that a function of SQLite returned.
    init(status: Int32, _ database: OpaquePointer?) {
        self.init(
            Code(status: status & 0xff), String(cString: sqlite3_errstr(status)),
            detail: database.map { String(cString: sqlite3_errmsg($0)) })
    }

    package var message: String { detail.map { "\(reason): \($0)" } ?? reason }

    package var exitStatus: ExitStatus {
        switch code {
        case .busy: .tryAgain
        case .corrupt, .notADatabase: .malformedInput
        case .readOnly, .cannotOpen, .full, .inputOutput, .other: .localIO
        case .constraint, .tooBig, .invalidStatement: .bug
        }
    }

    package var description: String { message }
}

extension SQLiteError.Code {
    fileprivate init(status: Int32) {
        self =
            switch status {
            case SQLITE_BUSY, SQLITE_LOCKED: .busy
            case SQLITE_READONLY: .readOnly
            case SQLITE_CORRUPT: .corrupt
            case SQLITE_NOTADB: .notADatabase
            case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH: .cannotOpen
            case SQLITE_FULL: .full
            case SQLITE_IOERR: .inputOutput
            case SQLITE_CONSTRAINT, SQLITE_MISMATCH: .constraint
            case SQLITE_TOOBIG: .tooBig
            case SQLITE_ERROR, SQLITE_MISUSE, SQLITE_RANGE: .invalidStatement
            default: .other
            }
    }
}
