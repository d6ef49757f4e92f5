/// JSON text in the making: raw memory that grows, so that the hot path neither counts references nor checks bounds twice.
///
/// `reserve` is called before `put`; everything that is put is bounded by what was reserved.
struct JSONOutput: ~Copyable {
    private var start: UnsafeMutableRawPointer
    private var at: UnsafeMutableRawPointer
    private var end: UnsafeMutableRawPointer
    private let maximum: Int
    private let firstBytes: Int

    /// Above this the memory is given back after use.
    private static let keptBytes = 1 << 20

    /// - Parameter maximum: the most text that is made.
    init(maximum: Int) {
        self.maximum = maximum
        firstBytes = min(1 << 14, maximum)
        start = .allocate(byteCount: firstBytes, alignment: 16)
        at = start
        end = start + firstBytes
    }

    deinit { start.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: at - start) }

    mutating func clear() {
        if end - start > JSONOutput.keptBytes {
            start.deallocate()
            start = .allocate(byteCount: firstBytes, alignment: 16)
            end = start + firstBytes
        }
        at = start
    }

    @inline(__always)
    mutating func reserve(_ count: Int) throws(TLFault) {
        if end - at < count { try grow(count) }
    }

    @inline(never)
    private mutating func grow(_ count: Int) throws(TLFault) {
        let used = at - start
        guard used + count <= maximum else { throw .oversized }
        let capacity = min(maximum, max(used + count, 2 * (end - start)))
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: start, byteCount: used)
        start.deallocate()
        start = larger
        at = larger + used
        end = larger + capacity
    }

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        at.storeBytes(of: byte, as: UInt8.self)
        at += 1
    }

    mutating func put(_ text: StaticString) {
        at.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        at += text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func put(_ source: UnsafeRawPointer, count: Int) {
        at.copyMemory(from: source, byteCount: count)
        at += count
    }

    /// Copies a short piece by its 32 bytes at once; 32 may be read and are written, whatever the count.
    @inline(__always)
    mutating func putShort(_ source: UnsafeRawPointer, count: Int) {
        at.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
        (at + 8).storeBytes(of: (source + 8).loadUnaligned(as: UInt64.self), as: UInt64.self)
        (at + 16).storeBytes(of: (source + 16).loadUnaligned(as: UInt64.self), as: UInt64.self)
        (at + 24).storeBytes(of: (source + 24).loadUnaligned(as: UInt64.self), as: UInt64.self)
        if count > 32 { (at + 32).copyMemory(from: source + 32, byteCount: count - 32) }
        at += count
    }

    @inline(__always)
    mutating func put(four: UInt32) {
        at.storeBytes(of: four, as: UInt32.self)
        at += 4
    }

    /// Copies eight bytes.
    @inline(__always)
    mutating func put(eight: UInt64) {
        at.storeBytes(of: eight, as: UInt64.self)
        at += 8
    }
}

// Numbers.
extension JSONOutput {
    /// What is to be reserved for one.
    static let numberBytes = 64

    /// A number as long as JavaScript would not round it, and else a string.
    @inline(__always)
    mutating func put(_ number: Int64) {
        guard number.magnitude > 9_007_199_254_740_991 else { return put(integer: number) }
        put(UInt8(ascii: "\""))
        put(integer: number)
        put(UInt8(ascii: "\""))
    }

    /// The digits are made from the last one on, in the room behind, and then moved.
    @inline(__always)
    mutating func put(integer: Int64) {
        if integer < 0 { put(UInt8(ascii: "-")) }
        var rest = integer.magnitude
        let last = at + 24
        var place = last
        while rest >= 100 {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            place -= 2
            place.storeBytes(of: JSONOutput.digits(of: pair), as: UInt16.self)
            rest = quotient
        }
        place -= 2
        place.storeBytes(of: JSONOutput.digits(of: rest), as: UInt16.self)
        if rest < 10 { place += 1 }
        let (first, second) = (place.loadUnaligned(as: UInt64.self), (place + 8).loadUnaligned(as: UInt64.self))
        let third = (place + 16).loadUnaligned(as: UInt64.self)
        at.storeBytes(of: first, as: UInt64.self)
        (at + 8).storeBytes(of: second, as: UInt64.self)
        (at + 16).storeBytes(of: third, as: UInt64.self)
        at += last - place
    }

    /// The two digits of a number below 100, as they stand in memory.
    @inline(__always)
    private static func digits(of number: UInt64) -> UInt16 {
        let tens = (number &* 103) >> 10
        return UInt16(truncatingIfNeeded: 0x3030 | tens | (number &- tens &* 10) << 8)
    }

    /// What JSON has no number for is a string: "NaN", "Infinity", "-Infinity".
    mutating func put(_ number: Double) {
        guard number.isFinite else {
            return put(number.isNaN ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"")
        }
        var text = number.description
        text.withUTF8 { digits in
            guard let first = digits.baseAddress else { return }
            put(first, count: digits.count)
        }
    }
}
