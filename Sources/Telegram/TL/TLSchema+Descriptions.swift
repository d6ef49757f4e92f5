package import JSON

/// Describes a constructor or a method for people and scripts.
package struct TLDescription: Sendable, Equatable {
    package struct Parameter: Sendable, Equatable {
        package let name: String
        /// The type in the schema's words, without the flag: `Vector<InputUser>`, `true`.
        package let type: String
        package let isOptional: Bool
        /// The parameters that are present or absent together with this one, because they share a flag.
        package let comesWith: [String]
    }

    package let name: String
    package let id: UInt32
    package let isMethod: Bool
    package let parameters: [Parameter]
    /// The constructor's type or the method's result; `X` is the result of the inner method.
    package let result: String

    /// The definition in the schema language, without id and flags: `messages.getHistory peer:InputPeer … = messages.Messages`.
    package var line: String {
        let words = parameters.map { "\($0.name):\($0.isOptional ? "?" : "")\($0.type)" }
        return ([name] + words + ["=", result]).joined(separator: " ")
    }

    package var json: JSON {
        let list = parameters.map { parameter in
            JSON.object([
                "name": .string(parameter.name), "type": .string(parameter.type),
                "optional": .bool(parameter.isOptional),
                "comes_with": parameter.comesWith.isEmpty ? nil : .array(parameter.comesWith.map { .string($0) }),
            ])
        }
        return .object([
            "name": .string(name), "kind": isMethod ? "method" : "constructor",
            "id": .string(TLSchema.hexadecimal(id)), "parameters": .array(list), "result": .string(result),
        ])
    }
}

extension TLSchema {
    /// The names of all methods, sorted.
    package var methodNames: [String] { (0..<methods.count).map(methods.text).sorted() }

    package var constructorNames: [String] { (0..<constructors.count).map(constructors.text).sorted() }

    package func method(_ name: String) -> TLDescription? {
        methods.find(name).map { describe(Int(methodsByName[$0])) }
    }

    package func constructor(_ name: String) -> TLDescription? {
        constructors.find(name).map { describe(Int(constructorsByName[$0])) }
    }

    /// The constructors of a type; empty when there is no such type.
    package func constructors(of type: String) -> [TLDescription] {
        types.find(type).map { constructorsByType[$0].map { describe(Int($0)) } } ?? []
    }

    private func describe(_ number: Int) -> TLDescription {
        let combinator = combinators[number]
        let all = fields[Int(combinator.firstField)..<Int(combinator.firstField) + Int(combinator.fieldCount)]
        let parameters = all.filter { $0.wire != .flags }.map { field in
            let isOptional = field.flag != Field.always
            let others = all.filter { isOptional && $0.flag == field.flag && $0.key != field.key }
            return TLDescription.Parameter(
                name: name(of: field), type: text(of: field.shape), isOptional: isOptional,
                comesWith: others.map(name(of:)))
        }
        return TLDescription(
            name: name(of: combinator), id: combinator.id, isMethod: combinator.isMethod, parameters: parameters,
            result: text(of: combinator.result))
    }

    /// Returns a type in the schema language.
    func text(of shape: Shape) -> String {
        switch shape.wire {
        case .boxed: types.text(Int(shape.argument))
        case .bare: name(of: combinators[Int(shape.argument)])
        case .vector: "Vector<\(text(of: shapes[Int(shape.argument)]))>"
        case .bareVector: "vector<\(text(of: shapes[Int(shape.argument)]))>"
        case .bool: "Bool"
        case .present: "true"
        case .flags, .natural: "#"
        case .object, .anything: "Object"
        case .method: "!X"
        case .methodResult: "X"
        case .int, .long, .double, .string, .bytes, .int128, .int256: "\(shape.wire)"
        }
    }

    /// Returns whether a field has this name; compared without creating a string.
    func isName(_ name: String, of field: Field) -> Bool {
        let start = Int(field.key) + 2
        return name.utf8.elementsEqual(keys[start..<start + Int(field.keyCount) - 4])
    }
}
