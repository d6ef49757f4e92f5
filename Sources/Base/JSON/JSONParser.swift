import CSimdJSON

/// Reports malformed input, with a code for scripts and one line for people.
package struct MalformedInput: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case notJSON = "not_json"
        case notUTF8 = "not_utf8"
        case tooDeep = "too_deep"
        case tooLong = "too_long"
        case notObject = "not_an_object"
        case duplicateKey = "duplicate_key"
        case missingType = "missing_type"
        case invalidType = "invalid_type"
        case missingCorrelationID = "missing_correlation_id"
        case invalidCorrelationID = "invalid_correlation_id"
        case invalidField = "invalid_field"
        case unknownType = "unknown_type"
        case invalidPayload = "invalid_payload"
        /// The bytes of a file are not those that were written to it.
        case damaged = "damaged"
        /// The access rules do not allow the actor of the event.
        case accessDenied = "access_denied"
        /// A filter of the user refused the event.
        case refused = "refused"
    }

    package let code: Code
    package let reason: String

    package init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    package var description: String { reason }
}

/// Parses JSON with simdjson, and keeps its memory between calls. It is not for two threads at once.
package final class JSONParser {
    /// The deepest nesting that is accepted.
    package static let maxDepth = 128

    private let handle: OpaquePointer?

    package init() { handle = tgp_parser_new(JSONParser.maxDepth) }

    deinit { if let handle { tgp_parser_free(handle) } }

    /// Parses one document.
    ///
    /// - Parameter padded: Whether `paddingBytes` bytes after the buffer may be read, which saves a copy.
    /// - Throws: `MalformedInput`, also for an object with a repeated key.
    package func parse(_ bytes: UnsafeRawBufferPointer, padded: Bool = false) throws(MalformedInput) -> JSON {
        try view(bytes, padded: padded).json
    }

    /// Parses one document without building a tree.
    ///
    /// - Parameter padded: As for `parse`.
    /// - Returns: The document's value, which is valid until the parser's next call.
    /// - Throws: As `parse`.
    package func view(_ bytes: UnsafeRawBufferPointer, padded: Bool = false) throws(MalformedInput) -> JSONView {
        let document = tgp_parse(handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, padded)
        guard document.status == TGP_OK, let tokens = document.tokens else {
            throw MalformedInput(status: document.status, field: document.field, detail: document.detail)
        }
        // A tgp_token has the form of a JSONToken.
        return JSONView(UnsafeRawPointer(tokens).assumingMemoryBound(to: JSONToken.self))
    }

    /// Checks that a line is an envelope and finds the values that routing needs, without building a `JSON` value.
    package func scan(_ line: UnsafeRawBufferPointer, padded: Bool = false) -> ScannedLine {
        ScannedLine(
            tgp_scan(handle, line.baseAddress?.assumingMemoryBound(to: CChar.self), line.count, padded))
    }

    /// The number of readable bytes that must follow a buffer that is passed as `padded`.
    package static let paddingBytes = tgp_padding()
}

/// Holds the result of a scan. Its buffers point into the parser, and are valid until the parser's next call.
package struct ScannedLine {
    private let header: tgp_header

    init(_ header: tgp_header) { self.header = header }

    package var type: UnsafeRawBufferPointer { UnsafeRawBufferPointer(header.type) }
    package var correlationID: UnsafeRawBufferPointer { UnsafeRawBufferPointer(header.correlation_id) }

    /// The version of the payload's schema; 1 if the line has none.
    package var version: Int { Int(header.version) }

    /// The reason why the line is not an envelope; nil if it is one.
    package var fault: MalformedInput? {
        header.status == TGP_OK
            ? nil : MalformedInput(status: header.status, field: header.field, detail: header.detail)
    }

    package var isEnvelope: Bool { header.status == TGP_OK }
}

extension JSON {
    /// Parses one document with a new parser, which suits responses and files, but not streams.
    package init(parsing bytes: [UInt8]) throws(MalformedInput) {
        let parser = JSONParser()
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(MalformedInput) in try parser.parse(buffer) }
        }
        self = try result.get()
    }

    package init(parsing text: String) throws(MalformedInput) { try self.init(parsing: Array(text.utf8)) }
}

extension UnsafeRawBufferPointer {
    /// Is true if the bytes are UTF-8.
    package var isUTF8: Bool { isEmpty || tgp_is_utf8(baseAddress?.assumingMemoryBound(to: CChar.self), count) }

    init(_ text: tgp_text) { self.init(start: text.bytes, count: text.count) }
}

extension MalformedInput {
    init(status: tgp_status, field: tgp_text, detail: UnsafePointer<CChar>?) {
        let name = String(decoding: UnsafeRawBufferPointer(field).prefix(64), as: UTF8.self)
        let words = detail.map { String(cString: $0) } ?? "its structure is broken"
        self =
            switch status {
            case TGP_NOT_UTF8: MalformedInput(.notUTF8, "not UTF-8")
            case TGP_TOO_DEEP: MalformedInput(.tooDeep, "nested deeper than \(JSONParser.maxDepth)")
            case TGP_NOT_OBJECT: MalformedInput(.notObject, "not a JSON object")
            case TGP_DUPLICATE_KEY: MalformedInput(.duplicateKey, "the key \"\(name)\" is repeated")
            case TGP_MISSING_TYPE: MalformedInput(.missingType, "no type")
            case TGP_INVALID_TYPE: MalformedInput(.invalidType, "type is not a dotted name")
            case TGP_MISSING_CORRELATION_ID:
                MalformedInput(.missingCorrelationID, "no correlation_id (--stamp makes one up)")
            case TGP_INVALID_CORRELATION_ID: MalformedInput(.invalidCorrelationID, "correlation_id is not a UUID")
            case TGP_INVALID_FIELD: MalformedInput(.invalidField, "\(name) has the wrong type or form")
            case TGP_OUT_OF_MEMORY: MalformedInput(.notJSON, "out of memory")
            default: MalformedInput(.notJSON, "not JSON: \(words)")
            }
    }
}
