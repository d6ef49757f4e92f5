package import JSON

/// A value in JSON that the schema takes for one of certain types.
package struct TLPlace: Sendable, Hashable {
    /// `InputPeer`.
    package let type: String
    /// `$.peer`.
    package let path: String
    package let value: JSON
}

extension TLSchema {
    /// Replaces what stands for an object of some types without being one: peers written as `@name`, say.
    ///
    /// - Parameter change: what takes the value's place; nil leaves it. To look things up in between, collect the places with one
    ///   pass that changes nothing, and replace them with a second.
    /// - Returns: the arguments; what the schema does not know in them is left for `request` to complain about.
    package func replacing(
        _ types: Set<String>, in arguments: JSON, of method: String, _ change: (TLPlace) -> JSON?
    ) -> JSON {
        guard let number = methods.find(method) else { return arguments }
        return fields(of: arguments, Int(methodsByName[number]), Place(types: types, path: "$"), change)
    }

    /// Where the walk is, and what it looks for.
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
