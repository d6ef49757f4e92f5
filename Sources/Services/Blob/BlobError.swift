package import System

/// Why a store could not do what it was asked.
///
/// The message is for a person and holds neither secrets nor signatures nor queries. That an object is not there, or is there
/// already, is an answer and no error.
package struct BlobError: ReportableError, Sendable, CustomStringConvertible {
    /// A word for scripts; `rawValue` is what goes into events.
    package enum Code: String, Sendable {
        /// No connection to the store, or it went away.
        case unreachable
        case timedOut = "timed_out"
        /// The store knows the request and says no: wrong secret, no permission.
        case refused
        case noSuchBucket = "no_such_bucket"
        case notFound = "not_found"
        /// The store asks for fewer requests, and did so to the last attempt.
        case busy
        /// The store failed (5xx) to the last attempt.
        case storeFailed = "failed"
        /// The store's answer makes no sense.
        case protocolError = "protocol_error"
        /// A local file could not be read or written.
        case localIO = "local_io"
        /// The bytes are not the ones that the SHA-256 was made of.
        case corrupt
        case tooLarge = "too_large"
        /// A key, a metadata name or value that no store would take.
        case invalid
        case configuration
        case cancelled
    }

    package var code: Code
    package var message: String
    /// Trying again later may help.
    package var isTemporary: Bool

    package init(_ code: Code, _ message: String, isTemporary: Bool = false) {
        self.code = code
        self.message = message
        self.isTemporary = isTemporary
    }

    package var description: String { message }

    /// One line for a person in a chat: nothing of servers and folders, as `message` has it for the log.
    package var reasonForChat: String {
        switch code {
        case .unreachable, .timedOut, .storeFailed, .busy: "The storage cannot be reached at the moment."
        case .refused: "The storage refuses the credentials that it is given; its owner has to look at it."
        case .noSuchBucket, .configuration, .protocolError:
            "The storage is not set up as it should be; its owner has to look at it."
        case .tooLarge: "The file is too large for the storage."
        case .localIO: "The file could not be read from the disk, or the disk is full."
        case .corrupt: "The file was damaged on the way to the storage."
        case .notFound, .invalid, .cancelled: "The storage refused the file; its owner has to look at it."
        }
    }

    package var exitStatus: ExitStatus {
        switch code {
        case .unreachable, .timedOut, .storeFailed: .unavailable
        case .busy: .tryAgain
        case .refused: .authenticationRefused
        case .noSuchBucket, .configuration: .configuration
        case .protocolError, .corrupt: .protocolBroken
        case .localIO: .localIO
        case .invalid, .tooLarge: .usage
        case .notFound, .cancelled: .no
        }
    }
}
