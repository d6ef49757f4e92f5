/// Holds the tables that decoding uses as plain memory, without bounds checks and reference counts on the hot path. The numbers in
/// the tables were checked when the schema was read.
///
/// It is `@unchecked Sendable` because it never changes after its creation; it is freed with the schema that owns it.
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

    /// Finds a combinator by its id.
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

/// A hash table with open addressing from ids to combinators. Ids are checksums, so their low bits serve as the hash.
private struct ConstructorIDs {
    struct Place {
        var id: UInt32
        /// The combinator's number plus one; 0 marks a free place.
        var number: UInt32
    }

    private(set) var places: [Place]

    init(_ combinators: [Combinator]) {
        var count = 64
        while count < combinators.count * 3 { count *= 2 }
        places = [Place](repeating: Place(id: 0, number: 0), count: count)
        for (number, combinator) in combinators.enumerated() {
            var place = Int(combinator.id) & (count - 1)
            while places[place].number != 0 { place = (place + 1) & (count - 1) }
            places[place] = Place(id: combinator.id, number: UInt32(number + 1))
        }
    }
}
