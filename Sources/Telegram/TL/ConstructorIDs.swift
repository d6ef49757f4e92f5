/// Finds combinators by id: a hash table with open addressing. Ids are checksums, so that their low bits serve as the hash.
struct ConstructorIDs: Sendable {
    struct Place {
        var id: UInt32
        /// Of the combinator plus one; 0 is a free place.
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
