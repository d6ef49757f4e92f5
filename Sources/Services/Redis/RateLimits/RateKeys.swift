/// Holds the keys of a batch of events, each key once.
///
/// It compares keys as Redis does, by their bytes: for Swift, texts with the same characters in other bytes are equal.
package struct RateKeys: Sendable {
    /// Represents the events of one key.
    struct Key {
        /// The place of the key in `bytes`, escaped for a hash tag.
        let place: Range<Int>
        let hash: UInt64
        /// The number of events.
        var events: Int64 = 1
    }

    /// For each event, in order, the place of its key in `keys`.
    private(set) var keyOfEvent: [Int32] = []
    private(set) var keys: [Key] = []
    private(set) var bytes: [UInt8] = []
    /// The places in `keys` by their hash, with open addressing; -1 for none. Its size is a power of two.
    private var table: [Int32]
    /// Keys come from strangers, who must not be able to choose keys with the same hash.
    private static let seed = UInt64.random(in: 0...(.max))

    /// - Parameter events: the number of events that are expected.
    package init(events: Int = 0) {
        var size = 64
        while size < events * 2 { size *= 2 }
        table = Array(repeating: -1, count: size)
        keyOfEvent.reserveCapacity(events)
        bytes.reserveCapacity(events * 12)
    }

    /// The number of events.
    package var count: Int { keyOfEvent.count }

    package mutating func add(_ key: String) {
        var key = key
        key.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// Adds the key of the next event.
    package mutating func add(_ key: UnsafeRawBufferPointer) {
        let start = bytes.count
        if HashTag.isPlain(key) { bytes.append(contentsOf: key) } else { HashTag.escape(key, into: &bytes) }
        let place = start..<bytes.count
        let hash = hash(of: place)
        let found = find(hash, place)
        if table[found] >= 0 {
            bytes.removeSubrange(place)
            keys[Int(table[found])].events += 1
            keyOfEvent.append(table[found])
            return
        }
        table[found] = Int32(keys.count)
        keyOfEvent.append(Int32(keys.count))
        keys.append(Key(place: place, hash: hash))
        if keys.count * 2 > table.count { grow() }
    }

    /// Returns the key of an event, escaped for a hash tag.
    package func escapedKey(ofEvent event: Int) -> String { text(keys[Int(keyOfEvent[event])]) }

    func text(_ key: Key) -> String { String(decoding: bytes[key.place], as: UTF8.self) }

    /// Returns the place in the table of a key, or the free place for it.
    private func find(_ hash: UInt64, _ place: Range<Int>) -> Int {
        let mask = table.count - 1
        var index = Int(truncatingIfNeeded: hash) & mask
        bytes.withUnsafeBytes { bytes in
            let wanted = UnsafeRawBufferPointer(rebasing: bytes[place])
            while table[index] >= 0 {
                let key = keys[Int(table[index])]
                if key.hash == hash, key.place.count == wanted.count,
                    wanted.elementsEqual(UnsafeRawBufferPointer(rebasing: bytes[key.place]))
                {
                    return
                }
                index = (index + 1) & mask
            }
        }
        return index
    }

    private mutating func grow() {
        table = Array(repeating: -1, count: table.count * 2)
        let mask = table.count - 1
        for (place, key) in keys.enumerated() {
            var index = Int(truncatingIfNeeded: key.hash) & mask
            while table[index] >= 0 { index = (index + 1) & mask }
            table[index] = Int32(place)
        }
    }

    private func hash(of place: Range<Int>) -> UInt64 {
        let seed = Self.seed
        return bytes.withUnsafeBytes { bytes in
            var hash = seed
            func add(_ word: UInt64) {
                // The halves of a product of 128 bits depend on all bits of both factors.
                let (high, low) = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
                hash = high ^ low ^ seed
            }
            var at = place.lowerBound
            while place.upperBound - at >= 8 {
                add(bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                at += 8
            }
            add(UInt64(place.count))
            var last: UInt64 = 0
            while at < place.upperBound {
                last = last << 8 | UInt64(bytes[at])
                at += 1
            }
            add(last)
            return hash ^ hash >> 32
        }
    }
}
