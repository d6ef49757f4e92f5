/// Tells where the keys of a cluster are: each key belongs to one of 16,384 slots, and each slot to one node.
///
/// Source: the cluster specification of Redis, section "Key distribution model".
enum KeySlot {
    static let count = 16384

    /// Returns the slot of a key: the checksum of the text between the first `{` and the next `}`, or of the whole key without one.
    static func of(_ key: some Collection<UInt8>) -> Int {
        if let open = key.firstIndex(of: UInt8(ascii: "{")) {
            let rest = key[key.index(after: open)...]
            if let close = rest.firstIndex(of: UInt8(ascii: "}")), close != rest.startIndex {
                return Int(checksum(rest[..<close])) % count
            }
        }
        return Int(checksum(key)) % count
    }

    /// CRC-16 in the form of XMODEM: polynomial 0x1021, initial value 0.
    private static func checksum(_ bytes: some Collection<UInt8>) -> UInt16 {
        bytes.reduce(0) { checksum, byte in
            (checksum << 8) ^ table[Int(UInt8(truncatingIfNeeded: checksum >> 8) ^ byte)]
        }
    }

    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { value, _ in
            value & 0x8000 == 0 ? value << 1 : (value << 1) ^ 0x1021
        }
    }
}

/// Represents one command in the bytes of a batch.
struct EncodedCommand {
    /// The place of the command in the batch.
    let bytes: Range<Int>
    /// In capitals.
    let name: String
    /// The slot of its first key; nil for a command without a key.
    let slot: Int?

    /// Finds the commands of a batch. They were encoded here, so their form is known.
    static func all(in batch: CommandBatch) -> [EncodedCommand] {
        batch.bytes.withUnsafeBufferPointer { bytes in
            var commands: [EncodedCommand] = []
            commands.reserveCapacity(batch.count)
            var place = 0
            while place < bytes.count {
                let start = place
                let arguments = (0..<number(in: bytes, at: &place)).map { _ -> Range<Int> in
                    let length = number(in: bytes, at: &place)
                    defer { place += length + 2 }
                    return place..<(place + length)
                }
                let words = arguments.map { bytes[$0] }
                let name = words.first.map { String(decoding: $0, as: UTF8.self).uppercased() } ?? ""
                let key = keyPlace(in: words, of: name)
                commands.append(
                    EncodedCommand(
                        bytes: start..<place, name: name, slot: key.map { KeySlot.of(bytes[arguments[$0]]) }))
            }
            return commands
        }
    }

    /// Reads a number between its mark (`*`, `$`) and the line end, and moves behind the line end.
    private static func number(in bytes: UnsafeBufferPointer<UInt8>, at place: inout Int) -> Int {
        place += 1
        var value = 0
        while bytes[place] != 13 {
            value = value * 10 + Int(bytes[place] - UInt8(ascii: "0"))
            place += 1
        }
        place += 2
        return value
    }

    private typealias Words = [Slice<UnsafeBufferPointer<UInt8>>]

    /// Commands that write nothing, or whose effect is lost with the connection anyway.
    static let reading: Set<String> = [
        "BLPOP", "CLIENT", "CLUSTER", "DBSIZE", "ECHO", "EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HMGET",
        "INFO", "LLEN", "LRANGE", "MGET", "PING", "PTTL", "ROLE", "SCAN", "SCRIPT", "SISMEMBER", "SMEMBERS", "TIME",
        "TTL",
        "TYPE", "XINFO", "XLEN", "XPENDING", "XRANGE", "XREAD", "ZRANGE", "ZSCORE",
    ]

    /// Returns which argument is the first key.
    private static func keyPlace(in words: Words, of name: String) -> Int? {
        let place: Int
        switch name {
        case "PING", "INFO", "SCRIPT", "SCAN", "CLIENT", "CONFIG", "TIME", "MULTI", "EXEC", "WAIT", "ROLE", "DBSIZE",
            "ECHO", "CLUSTER", "ACL", "COMMAND", "KEYS", "FLUSHALL", "FLUSHDB":
            return nil
        case "EVAL", "EVALSHA":
            guard words.count > 3, !words[2].elementsEqual([UInt8(ascii: "0")]) else { return nil }
            place = 3
        case "XREAD", "XREADGROUP":
            guard let streams = words.firstIndex(where: { $0.elementsEqual("STREAMS".utf8) }) else { return nil }
            place = streams + 1
        case "XGROUP", "XINFO", "OBJECT", "MEMORY": place = 2
        default: place = 1
        }
        return place < words.count ? place : nil
    }
}
