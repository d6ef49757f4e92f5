public import Envelope
import Glibc

/// Why a spool cannot be used.
public struct SpoolError: ReportableError, CustomStringConvertible {
    public enum Code: Sendable {
        /// Another process uses the folder.
        case locked
        /// The file system failed.
        case localIO
        /// The folder holds something else.
        case foreign
        /// The wait was ended.
        case abandoned
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    static func localIO(_ what: String, errno number: Int32 = errno) -> SpoolError {
        SpoolError(.localIO, "\(what): \(String(cString: strerror(number)))")
    }

    public var exitStatus: ExitStatus {
        switch code {
        case .localIO, .abandoned: .localIO
        case .locked, .foreign: .configuration
        }
    }

    public var description: String { message }
}
