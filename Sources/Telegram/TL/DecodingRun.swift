/// The reason why decoding stopped. `DecodingRun` has the place.
enum TLFault: Error {
    case unknownConstructor(UInt32)
    case unexpectedConstructor(UInt32)
    case truncated
    case oversized
    case tooDeep
    case trailingBytes
}

/// Receives the parts of a decoded value in their order. `DecodingRun` calls one `put` function after each `beginElement` and
/// `putKey`.
protocol DecodingOutput: ~Copyable {
    /// A container that has begun.
    associatedtype Container

    /// Discards the last value.
    ///
    /// - Parameter bytes: the size of the next value's TL.
    mutating func begin(bytes: Int) throws(TLFault)
    /// Begins an object with its constructor.
    ///
    /// - Parameter head: the rendered beginning, `{"_":"name"`; 32 bytes can be read.
    mutating func beginObject(_ head: UnsafePointer<UInt8>, count: Int) throws(TLFault) -> Container
    /// - Parameter key: the rendered key, `,"name":`; 32 bytes can be read.
    mutating func putKey(_ key: UnsafePointer<UInt8>, count: Int) throws(TLFault)
    /// - Parameter count: the number of members, the constructor included.
    mutating func endObject(_ object: Container, count: Int) throws(TLFault)
    mutating func beginArray() throws(TLFault) -> Container
    mutating func beginElement(isFirst: Bool) throws(TLFault)
    mutating func endArray(_ array: Container, count: Int) throws(TLFault)
    mutating func put(integer: Int64)
    /// Writes a number that may have more digits than JavaScript keeps.
    mutating func put(_ number: Int64) throws(TLFault)
    mutating func put(_ number: Double) throws(TLFault)
    mutating func put(isTrue: Bool)
    mutating func put(text: UnsafeRawPointer, count: Int) throws(TLFault)
    mutating func put(base64 bytes: UnsafeRawPointer, count: Int) throws(TLFault)
    mutating func put(hexadecimal bytes: UnsafeRawPointer, count: Int) throws(TLFault)
}

/// A place in a value: the number of a field, or the index of an element.
enum DecodingStep {
    case field(Int)
    case element(Int)
}

/// Decodes TL bytes to JSON, one value after the other, in memory that it reuses.
///
/// This is the hot path: it reads and writes plain memory, driven by the tables. It checks every length, count and id
/// in the bytes before it uses them.
struct DecodingRun<Output: DecodingOutput & ~Copyable>: ~Copyable {
    private let tables: SchemaTables
    var output: Output
    /// The place at each depth: a field's number, or `isElement` and an index.
    private let steps: UnsafeMutableBufferPointer<UInt32>
    private var depth = 0
    private var start: UnsafeRawPointer
    private var at: UnsafeRawPointer
    private var end: UnsafeRawPointer

    private static var isElement: UInt32 { 1 << 31 }

    init(_ tables: SchemaTables, output: consuming Output, maxDepth: Int) {
        self.tables = tables
        self.output = output
        steps = .allocate(capacity: maxDepth)
        steps.initialize(repeating: 0)
        start = UnsafeRawPointer(tables.keys)
        (at, end) = (start, start)
    }

    deinit { steps.deallocate() }

    var offset: Int { at - start }

    var place: [DecodingStep] {
        steps.prefix(depth).map { step in
            step & Self.isElement == 0 ? .field(Int(step)) : .element(Int(step & ~Self.isElement))
        }
    }

    mutating func decode(_ bytes: UnsafeRawBufferPointer, _ shape: Shape) throws(TLFault) {
        try output.begin(bytes: bytes.count)
        depth = 0
        start = bytes.baseAddress ?? UnsafeRawPointer(tables.keys)
        at = start
        end = start + bytes.count
        try value(shape.wire, shape.argument)
        guard at == end else { throw .trailingBytes }
    }

    private mutating func object(_ combinator: UnsafePointer<Combinator>) throws(TLFault) {
        let level = depth
        guard level < steps.count else { throw .tooDeep }
        let object = try output.beginObject(
            tables.keys + Int(combinator.pointee.head), count: Int(combinator.pointee.headCount))
        depth = level + 1
        var count = 1
        var present = combinator.pointee.always
        var flagCount = 0
        while let number = present.popFirst() {
            let index = Int(combinator.pointee.firstField) + number
            let field = tables.fields + index
            steps[level] = UInt32(truncatingIfNeeded: index)
            if field.pointee.wire == .flags {
                present.formUnion(optional(of: combinator, from: flagCount, try word()))
                flagCount += 32
            } else {
                count += 1
                try output.putKey(tables.keys + Int(field.pointee.key), count: Int(field.pointee.keyCount))
                try value(field.pointee.wire, field.pointee.argument)
            }
        }
        try output.endObject(object, count: count)
        depth = level
    }

    /// Returns the fields that a word of flags adds; unknown bits are ignored.
    @inline(__always)
    private func optional(
        of combinator: UnsafePointer<Combinator>, from first: Int, _ word: UInt32
    ) -> FieldSet {
        var added = FieldSet()
        var bits = word
        while bits != 0 {
            let flag = first + bits.trailingZeroBitCount
            guard flag < Int(combinator.pointee.flagCount) else { break }
            added.formUnion(tables.optionalSets[Int(combinator.pointee.firstOptional) + flag])
            bits &= bits &- 1
        }
        return added
    }

    /// Decodes one value; the caller has reserved room for a number.
    @inline(__always)
    private mutating func value(_ wire: Wire, _ argument: UInt32) throws(TLFault) {
        switch wire {
        case .int: output.put(integer: Int64(Int32(bitPattern: try word())))
        case .long: try output.put(Int64(bitPattern: try doubleWord()))
        case .string:
            let (text, count) = try string()
            try output.put(text: text, count: count)
        case .present: output.put(isTrue: true)
        case .boxed: try boxed(argument)
        case .vector: try vector(tables.shapes[Int(argument)])
        default: try rare(wire, argument)
        }
    }

    private mutating func rare(_ wire: Wire, _ argument: UInt32) throws(TLFault) {
        switch wire {
        case .bytes:
            let (bytes, count) = try string()
            try output.put(base64: bytes, count: count)
        case .double: try output.put(Double(bitPattern: try doubleWord()))
        case .int128: try output.put(hexadecimal: try raw(16), count: 16)
        case .int256: try output.put(hexadecimal: try raw(32), count: 32)
        case .natural, .flags: output.put(integer: Int64(try word()))
        case .bool: try bool()
        case .bare: try object(tables.combinators + Int(argument))
        case .bareVector: try elements(tables.shapes[Int(argument)])
        default: try anything(wire)
        }
    }

    private mutating func boxed(_ type: UInt32) throws(TLFault) {
        let id = try peek()
        guard let combinator = tables.combinator(id: id) else { throw .unknownConstructor(id) }
        let result = combinator.pointee.result
        guard result.argument == type, result.wire == .boxed, !combinator.pointee.isMethod else {
            throw .unexpectedConstructor(id)
        }
        at += 4
        try object(combinator)
    }

    /// Decodes a value that may have many types.
    private mutating func anything(_ wire: Wire) throws(TLFault) {
        let id = try peek()
        let isValue = wire != .method
        switch id {
        case TLNumber.vector where isValue: return try vector(Shape(wire: .object))
        case TLNumber.boolTrue where isValue, TLNumber.boolFalse where isValue: return try bool()
        default: break
        }
        guard let combinator = tables.combinator(id: id) else { throw .unknownConstructor(id) }
        guard combinator.pointee.isMethod ? wire != .object && wire != .methodResult : isValue else {
            throw .unexpectedConstructor(id)
        }
        at += 4
        try object(combinator)
    }
}

// Vectors and booleans.
extension DecodingRun where Output: ~Copyable {
    private mutating func vector(_ element: Shape) throws(TLFault) {
        let id = try peek()
        guard id == TLNumber.vector else { throw .unexpectedConstructor(id) }
        at += 4
        try elements(element)
    }

    private mutating func elements(_ element: Shape) throws(TLFault) {
        let level = depth
        guard level < steps.count else { throw .tooDeep }
        // Every element takes at least four bytes.
        let count = Int(try word())
        guard count <= (end - at) / 4 else {
            at -= 4
            throw .oversized
        }
        let array = try output.beginArray()
        depth = level + 1
        for index in 0..<count {
            steps[level] = Self.isElement | UInt32(truncatingIfNeeded: index)
            try output.beginElement(isFirst: index == 0)
            try value(element.wire, element.argument)
        }
        try output.endArray(array, count: count)
        depth = level
    }

    private mutating func bool() throws(TLFault) {
        let id = try peek()
        switch id {
        case TLNumber.boolTrue: output.put(isTrue: true)
        case TLNumber.boolFalse: output.put(isTrue: false)
        default: throw .unexpectedConstructor(id)
        }
        at += 4
    }
}

// The bytes.
extension DecodingRun where Output: ~Copyable {
    @inline(__always)
    private func peek() throws(TLFault) -> UInt32 {
        guard end - at >= 4 else { throw .truncated }
        return UInt32(littleEndian: at.loadUnaligned(as: UInt32.self))
    }

    @inline(__always)
    private mutating func word() throws(TLFault) -> UInt32 {
        let word = try peek()
        at += 4
        return word
    }

    @inline(__always)
    private mutating func doubleWord() throws(TLFault) -> UInt64 {
        guard end - at >= 8 else { throw .truncated }
        defer { at += 8 }
        return UInt64(littleEndian: at.loadUnaligned(as: UInt64.self))
    }

    private mutating func raw(_ count: Int) throws(TLFault) -> UnsafeRawPointer {
        guard end - at >= count else { throw .truncated }
        defer { at += count }
        return at
    }

    /// Reads a length of one byte, or of three bytes after 254; the bytes; and zeros up to a multiple of four.
    @inline(__always)
    private mutating func string() throws(TLFault) -> (UnsafeRawPointer, Int) {
        let word = Int(try peek())
        let isLong = word & 0xFF == 254
        // Lengths of seven bytes (255) are for strings that no message can hold.
        guard word & 0xFF < 255 else { throw .oversized }
        let count = isLong ? word >> 8 : word & 0xFF
        let head = isLong ? 4 : 1
        let whole = (head + count + 3) & ~3
        guard whole <= end - at else { throw .truncated }
        defer { at += whole }
        return (at + head, count)
    }
}

/// The ids of the constructors that the codec handles without a schema.
enum TLNumber {
    static let vector: UInt32 = 0x1cb5_c415
    static let boolTrue: UInt32 = 0x9972_75b5
    static let boolFalse: UInt32 = 0xbc79_9737
}
