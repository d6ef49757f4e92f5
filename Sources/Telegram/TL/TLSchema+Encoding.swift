package import JSON

/// A method with its arguments, encoded for sending.
package struct TLRequest: Sendable, Equatable {
    package let method: String
    package let bytes: [UInt8]
    /// The type of the answer; for a wrapper such as `invokeWithLayer`, that of the innermost method's answer.
    package let result: TLType
}

extension TLSchema {
    /// Encodes a method's arguments, an object as docs/tl.md describes it; `_` may be left out.
    ///
    /// - Throws: `TLError` with the path of the fault.
    package func request(_ method: String, _ arguments: JSON) throws(TLError) -> TLRequest {
        guard let number = methods.find(method) else {
            throw TLError(.unknownName, "\(layerName) has no method named \(TLSchema.quoted(method))")
        }
        guard case .object(let object) = arguments else {
            throw TLError(.wrongValue, "expected an object, not \(arguments.kind)", path: "$")
        }
        if let name = object["_"], name.string != method {
            throw TLError(.wrongValue, "is for another method", path: "$._")
        }
        var encoding = Encoding(self)
        let result = try encoding.object(object, Int(methodsByName[number]))
        return TLRequest(method: method, bytes: encoding.writer.bytes, result: TLType(shape: result))
    }

    /// Encodes a value as TL bytes.
    ///
    /// - Throws: `TLError` with the path of the fault.
    package func encode(_ value: JSON, as type: TLType = .anything) throws(TLError) -> [UInt8] {
        var encoding = Encoding(self)
        try encoding.value(value, type.shape)
        return encoding.writer.bytes
    }

    var layerName: String { layer.map { "layer \($0)" } ?? "the schema" }

    /// Returns a text from outside, quoted and shortened to 64 characters, for an error message.
    static func quoted(_ text: String) -> String { JSON.string(String(text.prefix(64))).text }
}

/// Encodes one value from JSON to TL bytes.
private struct Encoding {
    private enum Step {
        case key(String)
        case element(Int)
    }

    private(set) var writer = TLWriter()
    private let schema: TLSchema
    /// The place of the current value in the JSON.
    private var path: [Step] = []

    init(_ schema: TLSchema) { self.schema = schema }

    mutating func value(_ json: JSON, _ shape: Shape) throws(TLError) {
        switch shape.wire {
        case .int: writer.int(try integer(json, Int32.self))
        case .long: writer.long(try integer(json, Int64.self))
        case .natural, .flags: writer.word(try integer(json, UInt32.self))
        case .double: writer.double(try double(json))
        case .string: try put(Array(try string(json, "a string").utf8))
        case .bytes: try put(try base64(json))
        case .int128: writer.raw(try hexadecimal(json, bytes: 16))
        case .int256: writer.raw(try hexadecimal(json, bytes: 32))
        case .bool:
            guard let bool = json.bool else { throw wrong(json, "true or false") }
            writer.bool(bool)
        case .present: guard json.bool == true else { throw wrong(json, "true") }
        case .vector:
            writer.word(TLNumber.vector)
            try elements(json, schema.shapes[Int(shape.argument)])
        case .bareVector: try elements(json, schema.shapes[Int(shape.argument)])
        case .boxed, .bare: try constructor(json, shape)
        case .object, .methodResult, .anything: try anything(json, shape.wire)
        case .method: _ = try method(json)
        }
    }

    /// Writes a constructor or a method with its id.
    ///
    /// - Returns: the constructor's type or the method's result.
    @discardableResult
    mutating func object(_ object: JSONObject, _ number: Int) throws(TLError) -> Shape {
        writer.word(schema.combinators[number].id)
        return try fields(of: object, number)
    }

    private mutating func elements(_ json: JSON, _ element: Shape) throws(TLError) {
        guard case .array(let items) = json else { throw wrong(json, "an array") }
        writer.word(UInt32(truncatingIfNeeded: items.count))
        for (index, item) in items.enumerated() { try value(item, element, at: .element(index)) }
    }

    private mutating func constructor(_ json: JSON, _ shape: Shape) throws(TLError) {
        guard case .object(let object) = json else { throw wrong(json, "an object (\(schema.text(of: shape)))") }
        if shape.wire == .bare {
            let own = schema.name(of: schema.combinators[Int(shape.argument)])
            if let name = object["_"], name.string != own { throw error(.wrongValue, "expected \(own)", at: "_") }
            _ = try fields(of: object, Int(shape.argument))
            return
        }
        let all = schema.constructorsByType[Int(shape.argument)]
        guard let name = object["_"] else {
            // The only constructor of a type needs no name.
            guard all.count == 1 else {
                throw error(.missingField, "is missing: which \(schema.text(of: shape)) is it?", at: "_")
            }
            try self.object(object, Int(all[0]))
            return
        }
        guard let text = name.string else { throw error(.wrongValue, "expected a name, not \(name.kind)", at: "_") }
        guard let found = all.first(where: { schema.name(of: schema.combinators[Int($0)]) == text }) else {
            let known = all.prefix(8).map { schema.name(of: schema.combinators[Int($0)]) }.joined(separator: ", ")
            throw error(
                .unknownName, "\(TLSchema.quoted(text)) is none of \(known)\(all.count > 8 ? ", …" : "")", at: "_")
        }
        try self.object(object, Int(found))
    }

    private mutating func anything(_ json: JSON, _ wire: Wire) throws(TLError) {
        if let bool = json.bool { return writer.bool(bool) }
        if json.array != nil {
            writer.word(TLNumber.vector)
            return try elements(json, Shape(wire: .object))
        }
        guard let name = json["_"]?.string else { throw error(.missingField, "is missing", at: "_") }
        guard case .object(let object) = json else { return }
        if let number = schema.constructors.find(name) {
            try self.object(object, Int(schema.constructorsByName[number]))
        } else if wire == .anything, let number = schema.methods.find(name) {
            try self.object(object, Int(schema.methodsByName[number]))
        } else {
            throw error(.unknownName, "\(schema.layerName) has no constructor named \(TLSchema.quoted(name))", at: "_")
        }
    }

    private mutating func method(_ json: JSON) throws(TLError) -> Shape {
        guard case .object(let object) = json else { throw wrong(json, "an object (a method)") }
        guard let name = object["_"]?.string else { throw error(.missingField, "is missing: which method?", at: "_") }
        guard let number = schema.methods.find(name) else {
            throw error(.unknownName, "\(schema.layerName) has no method named \(TLSchema.quoted(name))", at: "_")
        }
        return try self.object(object, Int(schema.methodsByName[number]))
    }

    // MARK: Fields

    /// Writes the fields of a constructor or a method.
    ///
    /// - Returns: the constructor's type or the method's result.
    private mutating func fields(of object: JSONObject, _ number: Int) throws(TLError) -> Shape {
        let combinator = schema.combinators[number]
        let range = Int(combinator.firstField)..<Int(combinator.firstField) + Int(combinator.fieldCount)
        try refuseUnknown(object, range, combinator)
        var flags: [UInt32] = []
        var result = combinator.result
        for index in range {
            let field = schema.fields[index]
            if field.wire == .flags {
                flags.append(try flagWord(flags.count, object, range))
                writer.word(flags[flags.count - 1])
                continue
            }
            if field.flag != Field.always && flags[Int(field.flag / 32)] >> UInt32(field.flag % 32) & 1 == 0 {
                continue
            }
            let name = schema.name(of: field)
            guard let json = object[name] else {
                // A field that is only a flag is implied by the other fields of its flag.
                if field.wire == .present && field.flag != Field.always { continue }
                throw error(.missingField, missing(field, name, range), at: name)
            }
            if field.wire == .method {
                let inner = try inside(.key(name)) { run throws(TLError) in try run.method(json) }
                if result.wire == .methodResult { result = inner }
            } else {
                try value(json, field.shape, at: .key(name))
            }
        }
        return result
    }

    /// Returns a word of flags with the bits of those fields that the object has.
    private func flagWord(_ word: Int, _ object: JSONObject, _ range: Range<Int>) throws(TLError) -> UInt32 {
        var bits: UInt32 = 0
        var refused: UInt32 = 0
        for index in range where Int(schema.fields[index].flag / 32) == word {
            let field = schema.fields[index]
            guard field.flag != Field.always, let json = object[schema.name(of: field)] else { continue }
            let bit = UInt32(1) << UInt32(field.flag % 32)
            if field.wire == .present {
                guard let isSet = json.bool else {
                    throw error(.wrongValue, "expected true or false, not \(json.kind)", at: schema.name(of: field))
                }
                if isSet { bits |= bit } else { refused |= bit }
            } else {
                bits |= bit
            }
        }
        guard bits & refused == 0 else {
            throw error(.wrongValue, "fields that share a flag must be given together, and one of these is false")
        }
        return bits
    }

    private func refuseUnknown(_ object: JSONObject, _ range: Range<Int>, _ combinator: Combinator) throws(TLError) {
        for member in object.members where member.key != "_" {
            let isKnown = range.contains { index in
                schema.fields[index].wire != .flags && schema.isName(member.key, of: schema.fields[index])
            }
            guard isKnown else {
                throw error(
                    .unknownField, "\(schema.name(of: combinator)) has no such field", at: member.key)
            }
        }
    }

    private func missing(_ field: Field, _ name: String, _ range: Range<Int>) -> String {
        let partners = range.filter { schema.fields[$0].flag == field.flag && field.flag != Field.always }
            .map { schema.name(of: schema.fields[$0]) }.filter { $0 != name }
        let type = schema.text(of: field.shape)
        return
            "is missing (\(type))\(partners.isEmpty ? "" : ": it is required together with \(partners.joined(separator: ", "))")"
    }

    // MARK: Single values

    private mutating func value(_ json: JSON, _ shape: Shape, at step: Step) throws(TLError) {
        try inside(step) { run throws(TLError) in try run.value(json, shape) }
    }

    private mutating func inside<Result>(
        _ step: Step, _ body: (inout Encoding) throws(TLError) -> Result
    ) throws(TLError) -> Result {
        guard path.count < JSONParser.maxDepth else {
            throw error(.wrongValue, "nested deeper than \(JSONParser.maxDepth)")
        }
        path.append(step)
        defer { path.removeLast() }
        return try body(&self)
    }

    private func integer<Number: FixedWidthInteger>(_ json: JSON, _ type: Number.Type) throws(TLError) -> Number {
        let signed = Number.isSigned ? "" : "unsigned "
        let expected = "an \(signed)integer of \(Number.bitWidth) bits"
        if let value = json.int {
            guard let number = Number(exactly: value) else { throw error(.wrongValue, "is not \(expected)") }
            return number
        }
        // Large numbers are written as strings.
        if Number.bitWidth == 64, let text = json.string {
            guard let number = Number(text) else { throw error(.wrongValue, "is not \(expected)") }
            return number
        }
        switch json {
        case .unsigned, .numeral: throw error(.wrongValue, "is not \(expected)")
        default: throw wrong(json, expected)
        }
    }

    private func double(_ json: JSON) throws(TLError) -> Double {
        if let number = json.double { return number }
        switch json.string {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default: throw wrong(json, "a number")
        }
    }

    private func string(_ json: JSON, _ expected: String) throws(TLError) -> String {
        guard let text = json.string else { throw wrong(json, expected) }
        return text
    }

    private func base64(_ json: JSON) throws(TLError) -> [UInt8] {
        guard let bytes = Base64.decode(try string(json, "a string of base64")) else {
            throw error(.wrongValue, "is not base64")
        }
        return bytes
    }

    private func hexadecimal(_ json: JSON, bytes count: Int) throws(TLError) -> [UInt8] {
        let expected = "a string of \(2 * count) hexadecimal digits"
        let digits = Array(try string(json, expected).utf8).map { Character(Unicode.Scalar($0)).hexDigitValue }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count - 1, by: 2) {
            if let high = digits[index], let low = digits[index + 1] { bytes.append(UInt8(high << 4 | low)) }
        }
        guard digits.count == 2 * count, bytes.count == count else { throw error(.wrongValue, "is not \(expected)") }
        return bytes
    }

    private mutating func put(_ bytes: [UInt8]) throws(TLError) {
        guard bytes.count <= TLWriter.maxBytesCount else {
            throw error(.wrongValue, "is longer than \(TLWriter.maxBytesCount) bytes")
        }
        writer.bytes(bytes)
    }

    private func wrong(_ json: JSON, _ expected: String) -> TLError {
        error(.wrongValue, "expected \(expected), not \(json.kind)")
    }

    private func error(_ code: TLError.Code, _ reason: String, at key: String? = nil) -> TLError {
        let steps = path + (key.map { [.key($0)] } ?? [])
        let text = steps.reduce("$") { path, step in
            switch step {
            case .key(let key) where key.utf8.allSatisfy(Encoding.isPlain): "\(path).\(key)"
            case .key(let key): "\(path)[\(TLSchema.quoted(key))]"
            case .element(let index): "\(path)[\(index)]"
            }
        }
        return TLError(code, reason, path: text)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
    }
}

extension JSON {
    /// The kind of the value, for error messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .integer, .unsigned, .number, .numeral: "a number"
        case .string, .escaped: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
