/// The form of a value in TL bytes, which also determines its form in JSON.
enum Wire: UInt8 {
    case int, long, double, string, bytes, int128, int256
    case bool
    /// `true` behind a flag, which takes no bytes: the flag is the value.
    case present
    /// A word of flags. JSON has no key for it, because the presence of the optional fields expresses it.
    case flags
    /// `#` that is not called flags: an unsigned number.
    case natural
    /// Any constructor of a type, after its id; the argument is the type's number.
    case boxed
    /// A constructor without its id; the argument is the constructor's number.
    case bare
    /// A vector with and without its id; the argument is the element's number among the shapes.
    case vector, bareVector
    /// Any constructor, a Bool, or a vector of these.
    case object
    /// Any method (`!X`), and the result of the method in such a field (`X`).
    case method, methodResult
    /// Any constructor or method.
    case anything
}

/// A type as the codec uses it: its form and, for some forms, the number of another type, constructor or shape.
struct Shape: Hashable {
    var wire: Wire
    var argument: UInt32 = 0
}

struct Field {
    static let always = UInt8.max

    /// The offset of the rendered key, `,"name":`, among the keys.
    var key: UInt32
    var argument: UInt32
    var keyCount: UInt16
    var wire: Wire
    /// The number of the flag on which the field depends, counted through all flag words of the combinator; or `always`.
    var flag: UInt8

    var shape: Shape { Shape(wire: wire, argument: argument) }
}

/// A constructor or a method.
struct Combinator {
    var id: UInt32
    /// The offset of its rendered beginning, `{"_":"name"`, among the keys.
    var head: UInt32
    var headCount: UInt16
    var fieldCount: UInt16
    var firstField: UInt32
    /// The constructor's type, or the method's result.
    var result: Shape
    var isMethod: Bool
    /// The fields that do not depend on flags.
    var always: FieldSet
    /// The offset, among all optional sets, of the sets of fields that each flag adds; and the number of flags.
    var firstOptional: UInt32
    var flagCount: UInt16
}

/// A set of a combinator's fields, by their numbers; iterating over it takes no time for absent fields.
struct FieldSet {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    mutating func insert(_ number: Int) {
        if number < 64 { low |= 1 << UInt64(number) } else { high |= 1 << UInt64(number - 64) }
    }

    @inline(__always)
    mutating func formUnion(_ other: FieldSet) {
        low |= other.low
        high |= other.high
    }

    @inline(__always)
    mutating func popFirst() -> Int? {
        if low != 0 {
            defer { low &= low &- 1 }
            return low.trailingZeroBitCount
        }
        guard high != 0 else { return nil }
        defer { high &= high &- 1 }
        return 64 + high.trailingZeroBitCount
    }
}

/// The limits of a schema, which its compact tables require.
enum SchemaLimit {
    static let fields = 128
    static let nameBytes = 200
    static let flagWords = 4
}
