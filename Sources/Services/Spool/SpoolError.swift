import Glibc
package import System

/// Tells why a spool cannot be used.
package struct SpoolError: ReportableError, CustomStringConvertible {
    package enum Code: Sendable {
        /// Another process uses the folder.
        case locked
        /// The file system failed.
        case localIO
        /// The folder holds files that are not a spool's.
        case foreign
        /// The wait was ended by `abandon`.
        case abandoned
    }

    package let code: Code
    package let message: String

    private let number: Int32

    init(_ code: Code, _ message: String, errno number: Int32 = 0) {
        (self.code, self.message, self.number) = (code, message, number)
    }

    static func localIO(_ what: String, errno number: Int32 = errno) -> SpoolError {
        SpoolError(.localIO, "\(what): \(String(cString: strerror(number)))", errno: number)
    }

    /// Is true if the disk or the user's quota is full.
    var isWantOfRoom: Bool { [ENOSPC, EDQUOT, EFBIG].contains(number) }

    package var exitStatus: ExitStatus {
        switch code {
        case .localIO, .abandoned: .localIO
        case .locked, .foreign: .configuration
        }
    }

    package var description: String { message }
}
