import Synchronization
import TLSchemas

/// Holds the constructors and methods of one layer of Telegram's API and of MTProto itself, in the tables that drive the codec.
///
/// A schema is immutable. Reading one from text takes about a millisecond, whether the text is built in or comes from a file.
package final class TLSchema: Sendable {
    /// The built-in layers; the first is the default.
    package static let layers = [229, 201, 181]

    /// The layer's number; nil when the text does not contain it.
    package let layer: Int?

    let combinators: [Combinator]
    let fields: [Field]
    let shapes: [Shape]
    let keys: [UInt8]
    let types: NameTable
    let constructors: NameTable
    let methods: NameTable
    let constructorsByName: [UInt32]
    let methodsByName: [UInt32]
    let constructorsByType: [[UInt32]]
    let tables: SchemaTables

    /// Reads a built-in layer.
    ///
    /// - Throws: `TLError`, `unknownLayer`.
    package convenience init(layer: Int = TLSchema.layers[0]) throws(TLError) {
        guard let text = TLSchema.builtIn(layer) else {
            let known = TLSchema.layers.map { "\($0)" }.joined(separator: ", ")
            throw TLError(
                .unknownLayer,
                "layer \(layer) is not included, only \(known): give the schema of another layer with --schema")
        }
        try self.init(text: text)
    }

    /// Returns a built-in layer, which is read once for all callers of the process.
    ///
    /// - Throws: `TLError`, `unknownLayer`.
    package static func shared(layer: Int) throws(TLError) -> TLSchema {
        try known.withLock { (known) throws(TLError) in
            if let schema = known[layer] { return schema }
            let schema = try TLSchema(layer: layer)
            known[layer] = schema
            return schema
        }
    }

    private static let known = Mutex<[Int: TLSchema]>([:])

    /// Reads a schema in the form in which Telegram publishes it, and adds MTProto's own constructors.
    ///
    /// - Throws: `TLError`, `invalidSchema`, with the line of the fault.
    package convenience init(text: [UInt8]) throws(TLError) {
        let made = text.withUnsafeBytes { bytes in Result { () throws(TLError) in try SchemaText(bytes) } }
        self.init(try made.get())
    }

    private convenience init(text: UnsafeRawBufferPointer) throws(TLError) { self.init(try SchemaText(text)) }

    private init(_ text: SchemaText) {
        let builder = text.builder
        layer = text.layer
        combinators = builder.combinators
        fields = builder.fields
        shapes = builder.shapes
        keys = builder.keys
        types = builder.types
        constructors = builder.constructors
        methods = builder.methods
        constructorsByName = builder.constructorsByName
        methodsByName = builder.methodsByName
        constructorsByType = builder.constructorsByType
        tables = SchemaTables(builder)
    }

    private static func builtIn(_ layer: Int) -> UnsafeRawBufferPointer? {
        switch layer {
        case 229: tl_schema_layer_229().bytes
        case 201: tl_schema_layer_201().bytes
        case 181: tl_schema_layer_181().bytes
        default: nil
        }
    }
}

/// The result of reading a schema's text after that of MTProto.
private struct SchemaText {
    var builder = SchemaBuilder()
    let layer: Int?

    init(_ text: UnsafeRawBufferPointer) throws(TLError) {
        var protocolItself = SchemaParser(tl_schema_of_mtproto().bytes)
        try protocolItself.parse(into: &builder)
        var parser = SchemaParser(text)
        try parser.parse(into: &builder)
        try builder.finish()
        layer = parser.layer
    }
}

extension tl_schema_text {
    fileprivate var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}

/// The expected type of TL bytes or JSON: a type of a schema, or a method's result.
package struct TLType: Sendable, Hashable {
    let shape: Shape

    /// Accepts any constructor or method.
    package static let anything = TLType(shape: Shape(wire: .anything))
    /// Accepts any constructor, a Bool, or a vector of these.
    package static let object = TLType(shape: Shape(wire: .object))
    /// Accepts any method.
    package static let method = TLType(shape: Shape(wire: .method))
}

extension TLSchema {
    /// Finds a type by its name, such as `InputPeer` or `messages.Messages`; nil when the schema has no such type.
    package func type(_ name: String) -> TLType? {
        types.find(name).map { TLType(shape: Shape(wire: .boxed, argument: UInt32($0))) }
    }
}
