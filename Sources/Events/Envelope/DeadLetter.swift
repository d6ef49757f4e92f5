package import JSON

/// A line that no stage can take, with the reason, as an envelope of its own (`events.dead_letter`).
package enum DeadLetter {
    package static let type = "events.dead_letter"

    /// Longer lines are cut: a dead letter must itself fit an envelope.
    static let keptBytes = 1 << 20

    /// - Parameter sizeBytes: of the whole line, when `line` is only its beginning.
    package static func envelope(
        line: [UInt8], sizeBytes: Int? = nil, fault: MalformedInput, tool: String, correlationID: EventID?
    ) -> Envelope {
        envelope(
            line: line, sizeBytes: sizeBytes, code: fault.code.rawValue, reason: fault.reason, tool: tool,
            correlationID: correlationID)
    }

    /// - Parameter code: a word for programs; see `schemas/events.dead_letter.json`.
    package static func envelope(
        line: [UInt8], sizeBytes: Int? = nil, code: String, reason: String, tool: String, correlationID: EventID?
    ) -> Envelope {
        let kept = Array(line.prefix(keptBytes))
        let size = sizeBytes ?? line.count
        var payload: JSONObject = [
            "tool": .string(tool), "code": .string(code), "reason": .string(reason),
        ]
        if let text = String(validating: kept, as: UTF8.self) {
            payload["line"] = .string(text)
        } else {
            payload["line_base64"] = .string(Base64.encode(kept))
        }
        payload["size_bytes"] = .integer(Int64(size))
        payload["truncated"] = .bool(kept.count < size)
        return Envelope(type: type, payload: payload, correlationID: correlationID ?? EventID())
    }
}
