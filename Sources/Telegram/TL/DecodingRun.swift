/// The reason why decoding stopped. `DecodingRun` has the place.
enum TLFault: Error {
    case unknownConstructor(UInt32)
    case unexpectedConstructor(UInt32)
    case truncated
    case oversized
    case tooDeep
    case trailingBytes
}

/// Decodes TL bytes to JSON text, one value after the other, in memory that it reuses.
///
/// This is the hot path: it reads and writes plain memory, driven by the tables. It checks every length, count and id
/// in the bytes before it uses them.
struct DecodingRun: ~Copyable {
    enum Step {
        case field(Int)
        case element(Int)
    }

    private let tables: SchemaTables
    private var output: JSONOutput
    /// The place at each depth: a field's number, or `isElement` and an index.
    private let steps: UnsafeMutableBufferPointer<UInt32>
    private var depth = 0
    private var start: UnsafeRawPointer
    private var at: UnsafeRawPointer
    private var end: UnsafeRawPointer

    private static let isElement: UInt32 = 1 << 31

    init(_ tables: SchemaTables, output: consuming JSONOutput, maxDepth: Int) {
        self.tables = tables
        self.output = output
        steps = .allocate(capacity: maxDepth)
        steps.initialize(repeating: 0)
        start = UnsafeRawPointer(tables.keys)
        (at, end) = (start, start)
    }

    deinit { steps.deallocate() }

    /// The text of the last value, valid until the next call.
    var json: UnsafeRawBufferPointer { output.bytes }
    var offset: Int { at - start }

    var place: [Step] {
        steps.prefix(depth).map { step in
            step & DecodingRun.isElement == 0 ? .field(Int(step)) : .element(Int(step & ~DecodingRun.isElement))
        }
    }

    mutating func decode(_ bytes: UnsafeRawBufferPointer, _ shape: Shape) throws(TLFault) {
        output.clear()
        depth = 0
        start = bytes.baseAddress ?? UnsafeRawPointer(tables.keys)
        at = start
        end = start + bytes.count
        try output.reserve(JSONOutput.numberBytes)
        try value(shape.wire, shape.argument)
        guard at == end else { throw .trailingBytes }
    }

    private mutating func object(_ combinator: UnsafePointer<Combinator>) throws(TLFault) {
        let level = depth
        guard level < steps.count else { throw .tooDeep }
        try output.reserve(Int(combinator.pointee.headCount) + 32)
        output.putShort(tables.keys + Int(combinator.pointee.head), count: Int(combinator.pointee.headCount))
        depth = level + 1
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
                let count = Int(field.pointee.keyCount)
                try output.reserve(count + 32 + JSONOutput.numberBytes)
                output.putShort(tables.keys + Int(field.pointee.key), count: count)
                try value(field.pointee.wire, field.pointee.argument)
            }
        }
        try output.reserve(1)
        output.put(UInt8(ascii: "}"))
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
        case .long: output.put(Int64(bitPattern: try doubleWord()))
        case .string:
            let (text, count) = try string()
            try output.put(text: text, count: count)
        case .present: output.put("true")
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
        case .double: output.put(Double(bitPattern: try doubleWord()))
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
extension DecodingRun {
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
        try output.reserve(2 + JSONOutput.numberBytes)
        output.put(UInt8(ascii: "["))
        depth = level + 1
        for index in 0..<count {
            steps[level] = DecodingRun.isElement | UInt32(truncatingIfNeeded: index)
            try output.reserve(1 + JSONOutput.numberBytes)
            if index > 0 { output.put(UInt8(ascii: ",")) }
            try value(element.wire, element.argument)
        }
        try output.reserve(1)
        output.put(UInt8(ascii: "]"))
        depth = level
    }

    private mutating func bool() throws(TLFault) {
        let id = try peek()
        switch id {
        case TLNumber.boolTrue: output.put("true")
        case TLNumber.boolFalse: output.put("false")
        default: throw .unexpectedConstructor(id)
        }
        at += 4
    }
}

// The bytes.
extension DecodingRun {
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
