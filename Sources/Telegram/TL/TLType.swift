/// What TL bytes or JSON are taken for: a type of a schema, or a method's result.
package struct TLType: Sendable, Hashable {
    let shape: Shape

    /// Any constructor or method.
    package static let anything = TLType(shape: Shape(wire: .anything))
    /// Any constructor, a Bool, or a vector of such.
    package static let object = TLType(shape: Shape(wire: .object))
    /// Any method.
    package static let method = TLType(shape: Shape(wire: .method))
}

extension TLSchema {
    /// A type by its name (`InputPeer`, `messages.Messages`); nil when the schema has none of that name.
    package func type(_ name: String) -> TLType? {
        types.find(name).map { TLType(shape: Shape(wire: .boxed, argument: UInt32($0))) }
    }
}
