import JSON
import NIOCore
import TL

/// Encodes the lines from an owner to a client: the request's id, and one more member.
enum OwnerResponse {
    /// Encodes a value that is JSON text already, without parsing it.
    static func line(_ id: Int64?, _ key: String, _ text: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(text.count + 64)
        buffer.writeString(#"{"id":\#(id.map { "\($0)" } ?? "null"),"\#(key)":"#)
        buffer.writeBytes(text)
        buffer.writeStaticString("}\n")
        return buffer
    }

    static func line(_ id: Int64?, _ key: String, _ json: JSON) -> ByteBuffer { line(id, key, json.bytes) }

    static func failure(_ id: Int64?, _ error: any Error) -> ByteBuffer {
        line(id, "error", .object(ErrorCoding.encode(error)))
    }

    static func event(_ id: Int64, _ event: AccountEvent) -> ByteBuffer {
        switch event {
        case .updates(let updates):
            // Updates that cannot be read are lost, and a gap says so.
            (try? updates.text()).map { text in
                line(id, "event", Array(#"{"type":"updates","updates":"#.utf8) + text + [UInt8(ascii: "}")])
            } ?? self.event(id, .gap)
        case .gap: line(id, "event", ["type": "gap"])
        case .ready: line(id, "event", ["type": "ready"])
        case .waiting(let reason): line(id, "event", ["type": "waiting", "reason": .string(reason)])
        }
    }

    static func waiting(_ id: Int64, _ wait: FloodWait) -> ByteBuffer {
        line(id, "waiting", wait.json)
    }
}

/// A line from an owner. Its value, which may be long, is not parsed.
struct OwnerResponseLine {
    let id: Int64
    let key: String
    /// The value, as JSON text.
    let value: ArraySlice<UInt8>

    /// Returns nil if the bytes are not such a line.
    init?(_ line: [UInt8]) {
        let start = Array(#"{"id":"#.utf8)
        guard line.starts(with: start), line.last == UInt8(ascii: "}") else { return nil }
        let rest = line[start.count...]
        guard let comma = rest.firstIndex(of: UInt8(ascii: ",")),
            let id = Int64(String(decoding: rest[..<comma], as: UTF8.self))
        else { return nil }
        let quoted = rest[(comma + 1)...]
        guard quoted.first == UInt8(ascii: "\""),
            let end = quoted.dropFirst().firstIndex(of: UInt8(ascii: "\"")), end + 1 < line.count,
            line[end + 1] == UInt8(ascii: ":")
        else { return nil }
        self.id = id
        key = String(decoding: line[(comma + 2)..<end], as: UTF8.self)
        value = line[(end + 2)..<(line.count - 1)]
    }

    var json: JSON? { try? JSON(parsing: Array(value)) }

    /// The line's event; a gap for a value that cannot be understood, because it may have been an update.
    var event: AccountEvent {
        let updates = Array(#"{"type":"updates","updates":"#.utf8)
        if value.starts(with: updates) {
            return .updates(TLValue(text: Array(value.dropFirst(updates.count).dropLast())))
        }
        return switch json?["type"]?.string {
        case "ready": .ready
        case "waiting": .waiting(json?["reason"]?.string ?? "")
        default: .gap
        }
    }
}

extension FloodWait {
    private enum Key {
        static let method = "method"
        static let seconds = "seconds"
        static let reason = "reason"
    }

    var json: JSON {
        .object([
            Key.method: .string(method), Key.seconds: .number(remaining.seconds), Key.reason: .string(reason),
        ])
    }

    /// Returns nil if a value is missing or wrong.
    init?(json: JSON) {
        guard let method = json[Key.method]?.string, let seconds = json[Key.seconds]?.double, seconds >= 0,
            seconds < 1e8, let reason = json[Key.reason]?.string
        else { return nil }
        self.init(method: method, remaining: .seconds(seconds), reason: reason)
    }
}
