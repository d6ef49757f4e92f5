package import JSON
package import System

/// Tells why a store could not carry out a request.
///
/// The message is for a person and holds no secrets, signatures or queries. An object that does not exist, or exists
/// already, is a value and not an error.
package struct BlobError: ReportableError, Sendable, CustomStringConvertible {
    /// Names the reason, for scripts; `rawValue` goes into events.
    package enum Code: String, Sendable {
        /// There is no connection to the store, or it broke.
        case unreachable
        case timedOut = "timed_out"
        /// The store understands the request and refuses it: wrong secret, no permission.
        case refused
        case noSuchBucket = "no_such_bucket"
        case notFound = "not_found"
        /// The store asks for fewer requests, also on the last attempt.
        case busy
        /// The store failed (5xx), also on the last attempt.
        case storeFailed = "failed"
        /// The store's answer is malformed.
        case protocolError = "protocol_error"
        /// A local file could not be read or written.
        case localIO = "local_io"
        /// The bytes do not have the expected SHA-256.
        case corrupt
        case tooLarge = "too_large"
        /// The key, a metadata name or a value is one that no store accepts.
        case invalid
        case configuration
        case cancelled
    }

    package var code: Code
    package var message: String
    /// Is true if a later attempt may succeed.
    package var isTransient: Bool

    package init(_ code: Code, _ message: String, isTransient: Bool = false) {
        self.code = code
        self.message = message
        self.isTransient = isTransient
    }

    package var description: String { message }

    /// One line for a person in a chat. Unlike `message`, which is for the log, it names no servers and folders.
    package var reasonForChat: String {
        switch code {
        case .unreachable, .timedOut, .storeFailed, .busy:
            "The storage cannot be reached at the moment. Please try again later."
        case .refused: "The storage refused the bot's credentials. Please tell the bot's operator."
        case .noSuchBucket, .configuration, .protocolError:
            "The storage is not set up correctly. Please tell the bot's operator."
        case .tooLarge: "The file is too large for the storage."
        case .notFound where isTransient: "The storage lost the file on the way. Please try again."
        case .localIO: "The file could not be read from the disk, or the disk is full."
        case .corrupt: "The file was damaged on the way to the storage. Please try again."
        case .notFound, .invalid, .cancelled: "The storage refused the file. Please tell the bot's operator."
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

extension BlobError: OutageSign {
    package var suspectedOutage: SuspectedOutage? {
        switch code {
        case .unreachable, .timedOut, .busy, .storeFailed: isTransient ? SuspectedOutage(.store) : nil
        default: nil
        }
    }

    package var outageReason: String { message }
}

extension BlobError {
    /// The error as JSON, for other processes.
    package var json: JSONObject {
        ["code": .string(code.rawValue), "message": .string(message), "temporary": .bool(isTransient)]
    }

    /// Reads an error that another process has written.
    package init(_ json: JSONObject) {
        self.init(
            json["code"]?.string.flatMap(Code.init) ?? .storeFailed, json["message"]?.string ?? "",
            isTransient: json["temporary"]?.bool ?? false)
    }
}
