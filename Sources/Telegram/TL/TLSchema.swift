import TLSchemas

/// The constructors and methods of one layer of Telegram's API, with those of MTProto itself: the table that drives the codec.
///
/// Immutable; made in about a millisecond from text, and the same way whether that is built in or from a file.
package final class TLSchema: Sendable {
    /// The layers that are built in; the first is the default.
    package static let layers = [229, 201, 181]

    /// nil when the text does not say.
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

    /// A layer that is built in.
    ///
    /// - Throws: `TLError`, `unknownLayer`.
    package convenience init(layer: Int = TLSchema.layers[0]) throws(TLError) {
        guard let text = TLSchema.builtIn(layer) else {
            let known = TLSchema.layers.map { "\($0)" }.joined(separator: ", ")
            throw TLError(.unknownLayer, "there is no layer \(layer) here, only \(known); others from a file")
        }
        try self.init(text: text)
    }

    /// A schema in the form in which Telegram publishes it; MTProto's own constructors are added.
    ///
    /// - Throws: `TLError`, `invalidSchema` with the line.
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

/// A text that was read, after MTProto's own.
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
