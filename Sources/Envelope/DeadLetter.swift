/// A line that no stage can take, with the reason, as an envelope of its own (`events.dead_letter`).
public enum DeadLetter {
    public static let type = "events.dead_letter"

    /// Longer lines are cut: a dead letter must itself fit an envelope.
    static let keptBytes = 1 << 20

    /// - Parameter sizeBytes: of the whole line, when `line` is only its beginning.
    public static func envelope(
        line: [UInt8], sizeBytes: Int? = nil, fault: MalformedInput, tool: String, correlationID: EventID?
    ) -> Envelope {
        envelope(
            line: line, sizeBytes: sizeBytes, code: fault.code.rawValue, reason: fault.reason, tool: tool,
            correlationID: correlationID)
    }

    /// - Parameter code: a word for programs; see `schemas/events.dead_letter.json`.
    public static func envelope(
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

/// RFC 4648 base64 with padding.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for byte in group { word = word << 8 | UInt32(byte) }
            word <<= UInt32(8 * (3 - group.count))
            for position in 0..<4 {
                let used = position <= group.count
                output.append(used ? alphabet[Int(word >> UInt32(18 - 6 * position) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
