/// Builds the tables of a schema, one combinator after the other.
struct SchemaBuilder {
    /// The zeros after the keys, so that a fixed number of bytes can be copied from any key.
    static let padding = 64

    private(set) var combinators: [Combinator] = []
    private(set) var fields: [Field] = []
    private(set) var shapes: [Shape] = []
    private(set) var optionalSets: [FieldSet] = []
    private(set) var keys: [UInt8] = []
    private(set) var types = NameTable()
    private(set) var constructors = NameTable()
    private(set) var methods = NameTable()
    /// The combinator of each name, indexed by the name's number in `constructors` or `methods`.
    private(set) var constructorsByName: [UInt32] = []
    private(set) var methodsByName: [UInt32] = []
    private(set) var constructorsByType: [[UInt32]] = []
    private var ids: Set<UInt32> = []

    private var shapeNumbers: [Shape: UInt32] = [:]
    private var fieldNames = NameTable()
    private var keyOffsets: [UInt32] = []
    /// The names that bare shapes refer to until all constructors are known: a constructor's name, or `%` and a type's name.
    private var bareNames = NameTable()
    private var firstField = 0
    private var flagWords: [UInt32] = []

    private static let simple: [(name: StaticString, wire: Wire)] = [
        ("int", .int), ("long", .long), ("string", .string), ("true", .present), ("Bool", .bool), ("bytes", .bytes),
        ("double", .double), ("int128", .int128), ("int256", .int256), ("Object", .object),
    ]

    mutating func begin() {
        firstField = fields.count
        flagWords = []
    }

    /// Adds a field `name:#`: flags when the name begins with "flags", otherwise a number.
    ///
    /// - Returns: false when there are too many fields or flag words.
    mutating func addNumber(_ name: UnsafeRawBufferPointer) -> Bool {
        let isFlags = name.prefix(5).elementsEqual("flags".utf8)
        return flagWords.count < SchemaLimit.flagWords
            && add(name, Shape(wire: isFlags ? .flags : .natural), flag: Field.always)
    }

    mutating func add(_ name: UnsafeRawBufferPointer, _ type: Shape, flag: UInt8) -> Bool {
        guard fields.count - firstField < SchemaLimit.fields else { return false }
        let key = key(name)
        if type.wire == .flags { flagWords.append(key) }
        fields.append(
            Field(
                key: key, argument: type.argument, keyCount: UInt16(name.count + 4), wire: type.wire, flag: flag))
        return true
    }

    /// Returns the number of a bit among all flag words so far; nil when there is no such word or bit.
    func flag(of word: UnsafeRawBufferPointer, bit: UInt32) -> UInt8? {
        guard bit < 32, let name = fieldNames.find(word),
            let number = flagWords.firstIndex(of: keyOffsets[name])
        else { return nil }
        return UInt8(number * 32 + Int(bit))
    }

    mutating func end(name: UnsafeRawBufferPointer, id: UInt32, result: Shape, isMethod: Bool) throws(TLError) {
        guard ids.insert(id).inserted else { return try repeated(name, id: id, isMethod: isMethod) }
        let number = UInt32(combinators.count)
        let isNew =
            isMethod
            ? SchemaBuilder.note(name, number, &methods, &methodsByName)
            : SchemaBuilder.note(name, number, &constructors, &constructorsByName)
        guard isNew else { throw TLError(.invalidSchema, "\(String(decoding: name, as: UTF8.self)) is declared twice") }
        if !isMethod && result.wire == .boxed {
            constructorsByType[Int(result.argument)].append(number)
        }
        let head = UInt32(keys.count)
        keys += #"{"_":""#.utf8
        keys.append(contentsOf: name)
        keys.append(UInt8(ascii: "\""))
        let (always, optional) = fieldSets()
        combinators.append(
            Combinator(
                id: id, head: head, headCount: UInt16(keys.count - Int(head)),
                fieldCount: UInt16(fields.count - firstField), firstField: UInt32(firstField), result: result,
                isMethod: isMethod, always: always, firstOptional: UInt32(optionalSets.count),
                flagCount: UInt16(optional.count)))
        optionalSets += optional
    }

    /// Returns the fields that the current combinator always has, and those that each flag adds.
    private func fieldSets() -> (always: FieldSet, optional: [FieldSet]) {
        let flags = fields[firstField...].map(\.flag)
        var always = FieldSet()
        var optional = [FieldSet](
            repeating: FieldSet(), count: flags.filter { $0 != Field.always }.max().map { Int($0) + 1 } ?? 0)
        for (number, flag) in flags.enumerated() {
            if flag == Field.always { always.insert(number) } else { optional[Int(flag)].insert(number) }
        }
        return (always, optional)
    }

    /// Handles an id that is known already. The same combinator may appear twice, because schemas overlap in the protocol's own part.
    private mutating func repeated(_ name: UnsafeRawBufferPointer, id: UInt32, isMethod: Bool) throws(TLError) {
        let numbers = isMethod ? methodsByName : constructorsByName
        guard let known = (isMethod ? methods : constructors).find(name), combinators[Int(numbers[known])].id == id
        else {
            throw TLError(
                .invalidSchema, "\(String(decoding: name, as: UTF8.self)) has the same id as another constructor")
        }
        fields.removeSubrange(firstField...)
    }

    private static func note(
        _ name: UnsafeRawBufferPointer, _ number: UInt32, _ names: inout NameTable, _ numbers: inout [UInt32]
    ) -> Bool {
        guard names.number(of: name) == numbers.count else { return false }
        numbers.append(number)
        return true
    }

    private mutating func key(_ name: UnsafeRawBufferPointer) -> UInt32 {
        let number = fieldNames.number(of: name)
        if number < keyOffsets.count { return keyOffsets[number] }
        keyOffsets.append(UInt32(keys.count))
        keys += #",""#.utf8
        keys.append(contentsOf: name)
        keys += #"":"#.utf8
        return keyOffsets[number]
    }

    /// Returns the shape of a type by its name. Types begin with a capital letter; a name with a small one is a bare constructor.
    mutating func shape(of name: UnsafeRawBufferPointer, isBare: Bool) -> Shape {
        for simple in SchemaBuilder.simple where !isBare && name.elementsEqual(simple.name.bytes) {
            return Shape(wire: simple.wire)
        }
        let start = (name.lastIndex(of: UInt8(ascii: ".")) ?? -1) + 1
        let isType = start < name.count && (0x41...0x5A).contains(name[start])
        guard isType && !isBare else {
            let reference = (isBare ? [UInt8(ascii: "%")] : []) + Array(name)
            return Shape(wire: .bare, argument: UInt32(reference.withUnsafeBytes { bareNames.number(of: $0) }))
        }
        let number = types.number(of: name)
        if number == constructorsByType.count { constructorsByType.append([]) }
        return Shape(wire: .boxed, argument: UInt32(number))
    }

    /// Returns the number of a vector's element among the shapes.
    mutating func number(of shape: Shape) -> UInt32 {
        if let known = shapeNumbers[shape] { return known }
        shapeNumbers[shape] = UInt32(shapes.count)
        shapes.append(shape)
        return UInt32(shapes.count - 1)
    }

    /// Replaces the names of bare constructors by the constructors, when all are known.
    mutating func finish() throws(TLError) {
        keys += [UInt8](repeating: 0, count: SchemaBuilder.padding)
        var resolved: [UInt32] = []
        for number in 0..<bareNames.count { resolved.append(try bare(bareNames.text(number))) }
        for index in fields.indices where fields[index].wire == .bare {
            fields[index].argument = resolved[Int(fields[index].argument)]
        }
        for index in shapes.indices where shapes[index].wire == .bare {
            shapes[index].argument = resolved[Int(shapes[index].argument)]
        }
        for index in combinators.indices where combinators[index].result.wire == .bare {
            combinators[index].result.argument = resolved[Int(combinators[index].result.argument)]
        }
    }

    private func bare(_ name: String) throws(TLError) -> UInt32 {
        if name.hasPrefix("%") {
            if let type = types.find(String(name.dropFirst())), constructorsByType[type].count == 1 {
                return constructorsByType[type][0]
            }
        } else if let number = constructors.find(name) {
            return constructorsByName[number]
        }
        throw TLError(.invalidSchema, "the schema has no constructor for the type \(name)")
    }
}

extension StaticString {
    fileprivate var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}
