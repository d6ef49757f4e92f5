import System
package import Envelope
package import JSON
package import Logging

/// Represents one line of the log, with typed values.
package struct LogRecord: Sendable {
    package let time: Timestamp
    package let level: Logger.Level
    /// The message, without secrets.
    package let message: String
    package let tool: String
    /// The request that the line belongs to; nil outside a request.
    package let correlationID: EventID?
    /// The span of the work that logged the line, while spans are written.
    package let span: UInt64?
    /// Further values in the order of their keys. Numbers and booleans keep their types.
    package let metadata: JSONObject

    /// The keys of a record's own fields. Metadata with such a key gets the prefix `metadata_`.
    package static let reservedKeys: Set<String> = ["time", "level", "message", "tool", "correlation_id"]

    /// - Parameter metadata: in any order. Where a prefixed key is there already, that one is kept and the reserved one dropped.
    package init(
        time: Timestamp = .now, level: Logger.Level, message: String, tool: String, correlationID: EventID?,
        span: UInt64? = nil, metadata: Logger.Metadata
    ) {
        self.time = time
        self.level = level
        self.message = KnownSecrets.removed(from: message)
        self.tool = tool
        (self.correlationID, self.span) = (correlationID, span)
        self.metadata = LogRecord.object(of: metadata, reserving: LogRecord.reservedKeys)
    }

    private static func object(of metadata: Logger.Metadata, reserving reserved: Set<String> = []) -> JSONObject {
        var object = JSONObject()
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            guard reserved.contains(key) else {
                object[key] = json(of: value)
                continue
            }
            let renamed = "metadata_\(key)"
            if metadata[renamed] == nil { object[renamed] = json(of: value) }
        }
        return object
    }

    private static func json(of value: Logger.MetadataValue) -> JSON {
        switch value {
        case .string(let text): .string(KnownSecrets.removed(from: text))
        case .stringConvertible(let value): json(ofConvertible: value)
        case .array(let values): .array(values.map(json(of:)))
        case .dictionary(let values): .object(object(of: values))
        }
    }

    private static func json(ofConvertible value: any CustomStringConvertible) -> JSON {
        switch value {
        case let value as Bool: .bool(value)
        case let value as any BinaryInteger: integer(value) ?? .string(value.description)
        case let value as any BinaryFloatingPoint: number(value) ?? .string("\(value)")
        default: .string(KnownSecrets.removed(from: value.description))
        }
    }

    private static func integer(_ value: some BinaryInteger) -> JSON? {
        if let integer = Int64(exactly: value) { return .integer(integer) }
        return UInt64(exactly: value).map { .unsigned($0) }
    }

    /// JSON has no infinity and no NaN.
    private static func number(_ value: some BinaryFloatingPoint) -> JSON? {
        value.isFinite ? .number(Double(value)) : nil
    }
}

extension LogRecord {
    /// The record as one line for people, without a line feed: `tg-gate: warning: message (key=value correlation=…)`.
    ///
    /// It holds no control characters.
    package var text: String {
        var text = "\(tool): "
        if level >= .error { text += "error: " } else if level == .warning { text += "warning: " }
        text += message
        var notes = metadata.members.map { "\($0.key)=\($0.value.string ?? $0.value.text)" }
        if let correlationID { notes.append("correlation=\(correlationID)") }
        if !notes.isEmpty { text += " (\(notes.joined(separator: " ")))" }
        return text.printable
    }

    /// The record as one JSON object: its own fields first, then its metadata.
    package var json: JSONObject {
        var object: JSONObject = [
            "time": .string(time.description), "level": .string(level.rawValue), "tool": .string(tool),
            "correlation_id": (correlationID?.description).map { .string($0) }, "message": .string(message),
        ]
        for member in metadata.members { object[member.key] = member.value }
        return object
    }
}
