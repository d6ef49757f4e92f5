/// How a value stands in TL bytes, and so in JSON.
enum Wire: UInt8 {
    case int, long, double, string, bytes, int128, int256
    case bool
    /// `true` behind a flag: the flag is the value.
    case present
    /// Flags; what they say is in the fields that they govern, so JSON has no key for them.
    case flags
    /// `#` that is no flags: a number.
    case natural
    /// Any constructor of a type, behind its id; the argument is the type's number.
    case boxed
    /// A constructor without its id; the argument is the constructor's number.
    case bare
    /// A vector behind its id, and one without; the argument is the element's number among the shapes.
    case vector, bareVector
    /// Any constructor at all, a Bool or a vector of such.
    case object
    /// A method of any kind (`!X`), and what the method in such a field results in (`X`).
    case method, methodResult
    /// A constructor or a method: what nobody expects anything of.
    case anything
}

/// A type, taken apart: what it is and, where that needs a second word, of what.
struct Shape: Hashable {
    var wire: Wire
    var argument: UInt32 = 0
}

struct Field {
    static let always = UInt8.max

    /// Where the rendered key, `,"name":`, stands among the keys.
    var key: UInt32
    var argument: UInt32
    var keyCount: UInt16
    var wire: Wire
    /// The bit that says whether the field is there, counted through all words of flags of the combinator; or `always`.
    var flag: UInt8

    var shape: Shape { Shape(wire: wire, argument: argument) }
}

/// A constructor or a method.
struct Combinator {
    var id: UInt32
    /// Where its rendered beginning, `{"_":"name"`, stands among the keys.
    var head: UInt32
    var headCount: UInt16
    var fieldCount: UInt16
    var firstField: UInt32
    /// The number of the type it makes, or for a method the shape of its result.
    var result: Shape
    var isMethod: Bool
    /// The fields that are there whatever the flags say.
    var always: FieldSet
    /// Where, for each flag, the set of the fields that it adds stands among all such sets; and how many flags there are.
    var firstOptional: UInt32
    var flagCount: UInt16
}

/// Some of a combinator's fields, by their numbers within it: what is there is found without a look at what is not.
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

/// Counts what a schema may hold, so that numbers fit their places.
enum Limit {
    static let fields = 128
    static let nameBytes = 200
    static let flagWords = 4
}
