package import System

/// Describes a fault in TL bytes, in JSON to be encoded, or in a schema.
///
/// The message never holds a value, which may be a password.
package struct TLError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        // Faults in TL bytes.
        case unknownConstructor = "unknown_constructor"
        case unexpectedConstructor = "unexpected_constructor"
        case truncated
        case oversized
        case tooDeep = "too_deep"
        case trailingBytes = "trailing_bytes"
        // Faults in JSON.
        case notJSON = "not_json"
        case wrongValue = "wrong_value"
        case missingField = "missing_field"
        case unknownField = "unknown_field"
        case unknownName = "unknown_name"
        // Faults in schemas.
        case invalidSchema = "invalid_schema"
        case unknownLayer = "unknown_layer"
    }

    package let code: Code
    /// The fault, without its place.
    package let reason: String
    /// The place in the JSON that was being written or read, such as `$.messages[3].media`; empty when there is none.
    package let path: String
    /// The place in the bytes that were being read; nil when no bytes were.
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
        let place = TLError.place(of: path)
        guard let offset else { return place.isEmpty ? reason : "\(place): \(reason)" }
        return place.isEmpty ? "\(reason) at byte \(offset)" : "\(reason) at byte \(offset), \(place)"
    }

    /// Returns a path as people write it: `id[0]` for `$.id[0]`. The whole value has no name.
    package static func place(of path: String) -> String {
        path.hasPrefix("$.") ? String(path.dropFirst(2)) : path.hasPrefix("$") ? String(path.dropFirst()) : path
    }

    package var description: String { message }
}
