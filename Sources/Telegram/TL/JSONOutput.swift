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

    @inline(__always)
    mutating func put(integer: Int64) {
        if integer < 0 { put(UInt8(ascii: "-")) }
        let (upper, last) = integer.magnitude.quotientAndRemainder(dividingBy: 100_000_000)
        guard upper > 0 else { return put(trimmed: last) }
        let (first, middle) = upper.quotientAndRemainder(dividingBy: 100_000_000)
        if first > 0 {
            put(trimmed: first)
            put(eight: JSONOutput.digits(of: middle) | JSONOutput.zeros)
        } else {
            put(trimmed: middle)
        }
        put(eight: JSONOutput.digits(of: last) | JSONOutput.zeros)
    }

    /// A number below 100,000,000 without zeros before it.
    @inline(__always)
    private mutating func put(trimmed number: UInt64) {
        let digits = JSONOutput.digits(of: number)
        let leading = min(digits.trailingZeroBitCount & ~7, 56)
        put(eight: (digits | JSONOutput.zeros) >> UInt64(leading))
        at -= leading / 8
    }

    private static let zeros: UInt64 = 0x3030_3030_3030_3030

    /// The eight digits of a number below 100,000,000, the first of them in the lowest byte: halved to fours, to twos, to ones, all
    /// at once.
    @inline(__always)
    private static func digits(of number: UInt64) -> UInt64 {
        let (high, low) = number.quotientAndRemainder(dividingBy: 10_000)
        let fours = high | low << 32
        let hundreds = (fours &* 10_486) >> 20 & 0x0000_007F_0000_007F
        let twos = hundreds | (fours &- hundreds &* 100) << 16
        let tens = (twos &* 103) >> 10 & 0x000F_000F_000F_000F
        return tens | (twos &- tens &* 10) << 8
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
