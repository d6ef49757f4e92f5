package import JSON

/// A place in JSON arguments where the schema expects one of certain types, and its value.
package struct TLPlace: Sendable, Hashable {
    /// The expected type, such as `InputPeer`.
    package let type: String
    /// The path, such as `$.peer`.
    package let path: String
    package let value: JSON
}

extension TLSchema {
    /// Replaces short forms of objects of some types in a method's arguments, such as peers written as `@name`.
    ///
    /// - Parameter change: returns the replacement for a value; nil leaves the value. To look values up in between, collect the places
    ///   in one pass without changes, and replace them in a second.
    /// - Returns: the changed arguments; values that the schema does not know stay, and `request` reports them.
    package func replacing(
        _ types: Set<String>, in arguments: JSON, of method: String, _ change: (TLPlace) -> JSON?
    ) -> JSON {
        guard let number = methods.find(method) else { return arguments }
        return fields(of: arguments, Int(methodsByName[number]), Place(types: types, path: "$"), change)
    }

    /// The current place of the search, and the types that it looks for.
    private struct Place {
        let types: Set<String>
        let path: String

        func inside(_ step: String) -> Place { Place(types: types, path: path + step) }
    }

    private typealias Change = (TLPlace) -> JSON?

    private func fields(of value: JSON, _ number: Int, _ at: Place, _ change: Change) -> JSON {
        guard case .object(var object) = value, at.path.utf8.count < 10_000 else { return value }
        let combinator = combinators[number]
        for index in Int(combinator.firstField)..<Int(combinator.firstField) + Int(combinator.fieldCount) {
            let name = name(of: fields[index])
            guard let member = object[name] else { continue }
            object[name] = replaced(member, fields[index].shape, at.inside(".\(name)"), change)
        }
        return .object(object)
    }

    private func replaced(_ value: JSON, _ shape: Shape, _ at: Place, _ change: Change) -> JSON {
        switch shape.wire {
        case .vector, .bareVector:
            guard case .array(let items) = value else { return value }
            let element = shapes[Int(shape.argument)]
            return .array(items.enumerated().map { replaced($1, element, at.inside("[\($0)]"), change) })
        case .method:
            guard let number = value["_"]?.string.flatMap(methods.find) else { return value }
            return fields(of: value, Int(methodsByName[number]), at, change)
        case .bare: return fields(of: value, Int(shape.argument), at, change)
        case .boxed:
            let type = types.text(Int(shape.argument))
            guard value.object == nil else { return constructor(value, Int(shape.argument), at, change) }
            guard at.types.contains(type) else { return value }
            return change(TLPlace(type: type, path: at.path, value: value)) ?? value
        default: return value
        }
    }

    private func constructor(_ value: JSON, _ type: Int, _ at: Place, _ change: Change) -> JSON {
        let all = constructorsByType[type]
        guard let name = value["_"]?.string else {
            return all.count == 1 ? fields(of: value, Int(all[0]), at, change) : value
        }
        guard let number = constructors.find(name) else { return value }
        return fields(of: value, Int(constructorsByName[number]), at, change)
    }
}
