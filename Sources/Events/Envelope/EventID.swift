import Glibc
package import JSON

/// Identifies an event or a correlation by a UUID. New ids are of version 7, so that they sort by time.
///
/// Source: RFC 9562, section 5.7. The library's `UUID` does not replace this: it makes only random ids of version 4, accepts a
/// sign in place of a digit, takes longer to parse, and writes capital letters, which take as long again to make small.
package struct EventID: Sendable, Hashable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    /// Makes an id of the two halves of its 128 bits.
    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// Makes an id with the present time.
    package init() { self.init(at: .now) }

    /// Makes an id of 48 bits of milliseconds, 12 bits of the fraction of a millisecond and 62 random bits.
    package init(at time: Timestamp) {
        self.init(high: EventID.high(at: time), random: UInt64.random(in: 0...UInt64.max))
    }

    fileprivate init(high: UInt64, random: UInt64) { (self.high, low) = (high, random >> 2 | 1 << 63) }

    fileprivate static func high(at time: Timestamp) -> UInt64 {
        let milliseconds = UInt64(clamping: time.microseconds / 1000)
        let fraction = UInt64(clamping: time.microseconds % 1000) * 4096 / 1000
        return milliseconds << 16 | 0x7000 | fraction
    }

    /// Parses the form of 36 characters, in either case and of any version; nil for other text.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 36 else { return nil }
        var text = String(text)
        guard let words = text.withUTF8({ EventID.words($0) }) else { return nil }
        (high, low) = words
    }

    /// Parses the bytes of a text, as by `init(_:)`.
    package init?(utf8 text: UnsafeRawBufferPointer) {
        guard text.count == EventID.textBytes, let words = EventID.words(text.bindMemory(to: UInt8.self)) else {
            return nil
        }
        (high, low) = words
    }

    /// Reads 36 bytes.
    private static func words(_ text: UnsafeBufferPointer<UInt8>) -> (high: UInt64, low: UInt64)? {
        var (high, low): (UInt64, UInt64) = (0, 0)
        for (index, byte) in text.enumerated() {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = value(ofHexDigit: byte) else { return nil }
            // The two words are one number of 128 bits.
            (high, low) = (high << 4 | low >> 60, low << 4 | digit)
        }
        return (high, low)
    }

    package var description: String {
        String(unsafeUninitializedCapacity: EventID.textBytes) { text in
            if let start = text.baseAddress { write(to: UnsafeMutableRawPointer(start)) }
            return EventID.textBytes
        }
    }

    /// Appends the text.
    package func write(to output: inout [UInt8]) {
        withUnsafeTemporaryAllocation(byteCount: EventID.textBytes, alignment: 1) { text in
            if let start = text.baseAddress { write(to: start) }
            output.append(contentsOf: text)
        }
    }

    package func write(to output: TextBuffer) {
        output.reserve(EventID.textBytes)
        write(to: output.memory.pointee.at)
        output.memory.pointee.at += EventID.textBytes
    }

    private static let textBytes = 36

    /// Writes 36 bytes.
    private func write(to text: UnsafeMutableRawPointer) {
        let (second, third) = (EventID.digits(of: high & 0xFFFF_FFFF), EventID.digits(of: low >> 32))
        text.storeBytes(of: EventID.digits(of: high >> 32), as: UInt64.self)
        EventID.write(half: second, to: text + 8)
        EventID.write(half: second >> 32, to: text + 13)
        EventID.write(half: third, to: text + 18)
        EventID.write(half: third >> 32, to: text + 23)
        (text + 28).storeBytes(of: EventID.digits(of: low & 0xFFFF_FFFF), as: UInt64.self)
    }

    /// Writes a hyphen and four digits.
    @inline(__always)
    private static func write(half digits: UInt64, to text: UnsafeMutableRawPointer) {
        text.storeBytes(of: UInt8(ascii: "-"), as: UInt8.self)
        (text + 1).storeBytes(of: UInt32(truncatingIfNeeded: digits), as: UInt32.self)
    }

    /// Returns the eight hexadecimal digits of a number below 2³², the first in the lowest byte. The number is split into halves
    /// of four digits, these into two and these into one, all halves at once.
    @inline(__always)
    private static func digits(of number: UInt64) -> UInt64 {
        let fours = number >> 16 | (number & 0xFFFF) << 32
        let twos = fours >> 8 & 0x0000_00FF_0000_00FF | (fours & 0x0000_00FF_0000_00FF) << 16
        let ones = twos >> 4 & 0x000F_000F_000F_000F | (twos & 0x000F_000F_000F_000F) << 8
        let letters = (ones &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return ones &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }

    package var version: Int { Int(high >> 12 & 15) }

    /// Returns another id of the same version, which depends on this id and the arguments only. An id of version 7 keeps its time.
    ///
    /// - Parameter shiftMilliseconds: is added to the time of an id of version 7.
    package func replaced(seed: UInt64, shiftMilliseconds: Int64) -> EventID {
        let mixed = EventID.mixed(EventID.mixed(seed ^ high) ^ low)
        guard version == 7 else {
            return EventID(high: EventID.mixed(mixed) & ~0xF000 | high & 0xF000, random: mixed)
        }
        let time = (high >> 16) &+ UInt64(bitPattern: shiftMilliseconds)
        return EventID(high: time << 16 | high & 0xFFFF, random: mixed)
    }

    /// Mixes the bits of a number: one step of SplitMix64.
    private static func mixed(_ number: UInt64) -> UInt64 {
        var number = number &+ 0x9E37_79B9_7F4A_7C15
        number = (number ^ number >> 30) &* 0xBF58_476D_1CE4_E5B9
        number = (number ^ number >> 27) &* 0x94D0_49BB_1331_11EB
        return number ^ number >> 31
    }

    private static func value(ofHexDigit byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}

/// Makes the ids of many events of one moment. The system is asked for the random bytes of many ids at once.
package struct EventIDs {
    private let high: UInt64
    private var random: [UInt64] = []
    /// The system returns up to 256 bytes at once.
    private static let atOnce = 32

    /// Makes ids with the present time.
    package init() { high = EventID.high(at: .now) }

    package mutating func next() -> EventID {
        if random.isEmpty { fill() }
        return EventID(high: high, random: random.removeLast())
    }

    private mutating func fill() {
        random = [UInt64](repeating: 0, count: EventIDs.atOnce)
        if random.withUnsafeMutableBytes({ getentropy($0.baseAddress, $0.count) }) != 0 {
            for index in random.indices { random[index] = .random(in: 0...UInt64.max) }
        }
    }
}
