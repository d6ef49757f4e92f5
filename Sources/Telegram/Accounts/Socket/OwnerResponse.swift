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

/// An owner's answer to `status`: its process, its account and its settings.
struct OwnerStatus: Sendable, Equatable {
    private enum Key {
        static let name = "name"
        static let pid = "pid"
        static let userID = "user_id"
        static let isBot = "bot"
        static let dataCenter = "dc"
        static let isTest = "test"
        static let layer = "layer"
        static let version = "version"
        static let schema = "schema"
    }

    /// The session's name.
    var name: String
    var pid: Int64
    var userID: Int64
    var isBot: Bool
    var dataCenter: Int64
    var isTest: Bool
    /// The layer of the owner's schema.
    var layer: Int64
    /// The owner's version of tgpipe.
    var version: String
    /// The path of the schema that the owner was started with; nil for one of tgpipe's own.
    var schemaPath: String?

    var json: JSON {
        .object([
            Key.name: .string(name), Key.pid: .integer(pid), Key.userID: .integer(userID), Key.isBot: .bool(isBot),
            Key.dataCenter: .integer(dataCenter), Key.isTest: .bool(isTest), Key.layer: .integer(layer),
            Key.version: .string(version), Key.schema: schemaPath.map { .string($0) },
        ])
    }
}

extension OwnerStatus {
    /// - Throws: `AccountError`, `socketProtocol`, if a value other than the schema's path is missing or wrong.
    init(_ json: JSON) throws(AccountError) {
        guard let name = json[Key.name]?.string, let pid = json[Key.pid]?.int, let userID = json[Key.userID]?.int,
            let isBot = json[Key.isBot]?.bool, let dataCenter = json[Key.dataCenter]?.int,
            let isTest = json[Key.isTest]?.bool, let layer = json[Key.layer]?.int,
            let version = json[Key.version]?.string
        else { throw AccountError(.socketProtocol, "the session's owner sent a status that lacks values: restart it") }
        self.init(
            name: name, pid: pid, userID: userID, isBot: isBot, dataCenter: dataCenter, isTest: isTest, layer: layer,
            version: version, schemaPath: json[Key.schema]?.string)
    }

    /// Reads the owner's schema.
    ///
    /// - Throws: `TLError`; `ToolError`, if the file cannot be read.
    func schema() throws -> TLSchema {
        if let path = schemaPath { return try TLSchema(text: try SmallText.read(path, "the schema")) }
        return try TLSchema.shared(layer: Int(clamping: layer))
    }
}
