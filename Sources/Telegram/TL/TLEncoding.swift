package import JSON

/// A method with its arguments, as it is sent.
package struct TLRequest: Sendable, Equatable {
    package let method: String
    package let bytes: [UInt8]
    /// What the answer is to be decoded as; of a wrapper (`invokeWithLayer`), what the innermost method results in.
    package let result: TLType
}

extension TLSchema {
    /// TL bytes of a method's arguments: an object as docs/tl.md has it; `_` may be left out.
    ///
    /// - Throws: `TLError` with the path.
    package func request(_ method: String, _ arguments: JSON) throws(TLError) -> TLRequest {
        guard let number = methods.find(method) else {
            throw TLError(.unknownName, "\(layerName) has no method of the name \(TLSchema.quoted(method))")
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

    /// TL bytes of a value.
    ///
    /// - Throws: `TLError` with the path.
    package func encode(_ value: JSON, as type: TLType = .anything) throws(TLError) -> [UInt8] {
        var encoding = Encoding(self)
        try encoding.value(value, type.shape)
        return encoding.writer.bytes
    }

    var layerName: String { layer.map { "layer \($0)" } ?? "the schema" }

    /// Somebody's word, in one line.
    static func quoted(_ text: String) -> String { JSON.string(String(text.prefix(64))).text }
}

/// One value on its way from JSON to TL bytes.
struct Encoding {
    enum Step {
        case key(String)
        case element(Int)
    }

    let schema: TLSchema
    var writer = TLWriter()
    var path: [Step] = []

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

    /// Writes a constructor or a method with its id; returns the shape of what it makes or results in.
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
            // Where there is only one, it needs no name.
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
            throw error(.unknownName, "\(schema.layerName) has nothing of the name \(TLSchema.quoted(name))", at: "_")
        }
    }

    mutating func method(_ json: JSON) throws(TLError) -> Shape {
        guard case .object(let object) = json else { throw wrong(json, "an object (a method)") }
        guard let name = object["_"]?.string else { throw error(.missingField, "is missing: which method?", at: "_") }
        guard let number = schema.methods.find(name) else {
            throw error(.unknownName, "\(schema.layerName) has no method of the name \(TLSchema.quoted(name))", at: "_")
        }
        return try self.object(object, Int(schema.methodsByName[number]))
    }
}
