package import System

/// Why TL bytes, JSON for them, or a schema are not what they should be.
///
/// Its words never hold a value: what is encoded may be a password.
package struct TLError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        // Of bytes.
        case unknownConstructor = "unknown_constructor"
        case unexpectedConstructor = "unexpected_constructor"
        case truncated
        case oversized
        case tooDeep = "too_deep"
        case trailingBytes = "trailing_bytes"
        // Of JSON.
        case notJSON = "not_json"
        case wrongValue = "wrong_value"
        case missingField = "missing_field"
        case unknownField = "unknown_field"
        case unknownName = "unknown_name"
        // Of schemas.
        case invalidSchema = "invalid_schema"
        case unknownLayer = "unknown_layer"
    }

    package let code: Code
    /// What is wrong, without the place.
    package let reason: String
    /// The place in the JSON that was being written or read: `$.messages[3].media`; empty where there is none.
    package let path: String
    /// The place in the bytes that were being read.
    package let offset: Int?

    package init(_ code: Code, _ reason: String, path: String = "", offset: Int? = nil) {
        self.code = code
        self.reason = reason
        self.path = path
        self.offset = offset
    }

    package var exitStatus: ExitStatus {
        switch code {
        case .unknownConstructor, .unexpectedConstructor, .truncated, .oversized, .tooDeep, .trailingBytes:
            .protocolBroken
        case .notJSON, .wrongValue, .missingField, .unknownField, .unknownName: .malformedInput
        case .invalidSchema, .unknownLayer: .configuration
        }
    }

    package var message: String {
        guard let offset else { return path.isEmpty ? reason : "\(path): \(reason)" }
        return path.isEmpty ? "\(reason) at byte \(offset)" : "\(reason) at byte \(offset), \(path)"
    }

    package var description: String { message }
}
