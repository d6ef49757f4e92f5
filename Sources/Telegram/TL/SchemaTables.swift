/// The tables that decoding looks into, as plain memory: no bounds checks and no reference counts on the hot path. Every number in
/// them was checked when they were made.
///
/// `@unchecked Sendable`: made once, never changed, freed with the schema that owns it.
final class SchemaTables: @unchecked Sendable {
    let combinators: UnsafePointer<Combinator>
    let fields: UnsafePointer<Field>
    let shapes: UnsafePointer<Shape>
    let optionalSets: UnsafePointer<FieldSet>
    let keys: UnsafePointer<UInt8>
    private let places: UnsafePointer<ConstructorIDs.Place>
    private let placesMask: Int

    init(_ builder: SchemaBuilder) {
        let ids = ConstructorIDs(builder.combinators)
        combinators = SchemaTables.copy(builder.combinators)
        fields = SchemaTables.copy(builder.fields)
        shapes = SchemaTables.copy(builder.shapes)
        optionalSets = SchemaTables.copy(builder.optionalSets)
        keys = SchemaTables.copy(builder.keys)
        places = SchemaTables.copy(ids.places)
        placesMask = ids.places.count - 1
    }

    deinit {
        combinators.deallocate()
        fields.deallocate()
        shapes.deallocate()
        optionalSets.deallocate()
        keys.deallocate()
        places.deallocate()
    }

    private static func copy<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafePointer<Element> {
        let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(1, elements.count))
        _ = memory.initialize(fromContentsOf: elements)
        return UnsafePointer(memory.baseAddress ?? UnsafeMutablePointer<Element>.allocate(capacity: 1))
    }

    @inline(__always)
    func combinator(id: UInt32) -> UnsafePointer<Combinator>? {
        var place = Int(truncatingIfNeeded: id) & placesMask
        while places[place].number != 0 {
            if places[place].id == id { return combinators + Int(places[place].number &- 1) }
            place = (place + 1) & placesMask
        }
        return nil
    }
}
