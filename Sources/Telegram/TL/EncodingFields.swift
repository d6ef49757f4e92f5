import JSON

// The fields of an object.
extension Encoding {
    /// Returns the shape of what a constructor makes or a method results in.
    mutating func fields(of object: JSONObject, _ number: Int) throws(TLError) -> Shape {
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
                // What only marks is implied by what it comes with.
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

    /// A word of flags, by which of the fields that hang on it are there.
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
            throw error(.wrongValue, "one flag stands for several fields, of which some are there and one is false")
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
        return "is missing (\(type))\(partners.isEmpty ? "" : ", but comes with \(partners.joined(separator: ", "))")"
    }
}

// Single values.
extension Encoding {
    mutating func value(_ json: JSON, _ shape: Shape, at step: Step) throws(TLError) {
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

    func integer<Number: FixedWidthInteger>(_ json: JSON, _ type: Number.Type) throws(TLError) -> Number {
        let signed = Number.isSigned ? "" : "unsigned "
        let expected = "an \(signed)integer of \(Number.bitWidth) bits"
        if let value = json.int {
            guard let number = Number(exactly: value) else { throw error(.wrongValue, "is not \(expected)") }
            return number
        }
        // As large ones are written.
        if Number.bitWidth == 64, let text = json.string {
            guard let number = Number(text) else { throw error(.wrongValue, "is not \(expected)") }
            return number
        }
        if case .unsigned = json { throw error(.wrongValue, "is not \(expected)") }
        throw wrong(json, expected)
    }

    func double(_ json: JSON) throws(TLError) -> Double {
        if let number = json.double { return number }
        switch json.string {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default: throw wrong(json, "a number")
        }
    }

    func string(_ json: JSON, _ expected: String) throws(TLError) -> String {
        guard let text = json.string else { throw wrong(json, expected) }
        return text
    }

    func base64(_ json: JSON) throws(TLError) -> [UInt8] {
        guard let bytes = Base64.decode(try string(json, "a string of base64")) else {
            throw error(.wrongValue, "is not base64")
        }
        return bytes
    }

    func hexadecimal(_ json: JSON, bytes count: Int) throws(TLError) -> [UInt8] {
        let expected = "a string of \(2 * count) hexadecimal digits"
        let digits = Array(try string(json, expected).utf8).map { Character(Unicode.Scalar($0)).hexDigitValue }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count - 1, by: 2) {
            if let high = digits[index], let low = digits[index + 1] { bytes.append(UInt8(high << 4 | low)) }
        }
        guard digits.count == 2 * count, bytes.count == count else { throw error(.wrongValue, "is not \(expected)") }
        return bytes
    }

    mutating func put(_ bytes: [UInt8]) throws(TLError) {
        guard bytes.count <= TLWriter.longestBytes else {
            throw error(.wrongValue, "is longer than \(TLWriter.longestBytes) bytes")
        }
        writer.bytes(bytes)
    }

    func wrong(_ json: JSON, _ expected: String) -> TLError {
        error(.wrongValue, "expected \(expected), not \(json.kind)")
    }

    func error(_ code: TLError.Code, _ reason: String, at key: String? = nil) -> TLError {
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
    /// What kind of value it is, in words.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .integer, .unsigned, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
