/// Numbers names in the order of their first appearance. A hash table over their bytes finds them without creating strings.
struct NameTable {
    private struct Name {
        var offset: UInt32
        var count: UInt32
        var hash: UInt32
    }

    private var names: [Name] = []
    private var bytes: [UInt8] = []
    /// The numbers of names plus one; 0 marks a free place. At most half of the places are taken.
    private var places = [UInt32](repeating: 0, count: 1024)

    var count: Int { names.count }

    func text(_ number: Int) -> String { String(decoding: utf8(number), as: UTF8.self) }

    func utf8(_ number: Int) -> ArraySlice<UInt8> {
        let name = names[number]
        return bytes[Int(name.offset)..<Int(name.offset + name.count)]
    }

    func find(_ name: UnsafeRawBufferPointer) -> Int? {
        let place = place(of: name, hash: NameTable.hash(name))
        return places[place] == 0 ? nil : Int(places[place]) - 1
    }

    func find(_ name: String) -> Int? {
        var name = name
        return name.withUTF8 { find(UnsafeRawBufferPointer($0)) }
    }

    /// Returns the number of a name; a new name gets the next free number.
    mutating func number(of name: UnsafeRawBufferPointer) -> Int {
        let hash = NameTable.hash(name)
        let place = place(of: name, hash: hash)
        guard places[place] == 0 else { return Int(places[place]) - 1 }
        names.append(Name(offset: UInt32(bytes.count), count: UInt32(name.count), hash: hash))
        bytes.append(contentsOf: name)
        places[place] = UInt32(names.count)
        if names.count * 2 > places.count { grow() }
        return names.count - 1
    }

    private func place(of name: UnsafeRawBufferPointer, hash: UInt32) -> Int {
        var place = Int(hash) & (places.count - 1)
        while places[place] != 0 {
            let candidate = names[Int(places[place]) - 1]
            if candidate.hash == hash && candidate.count == name.count
                && utf8(Int(places[place]) - 1).elementsEqual(name)
            {
                return place
            }
            place = (place + 1) & (places.count - 1)
        }
        return place
    }

    private mutating func grow() {
        places = [UInt32](repeating: 0, count: places.count * 2)
        for (number, name) in names.enumerated() {
            var place = Int(name.hash) & (places.count - 1)
            while places[place] != 0 { place = (place + 1) & (places.count - 1) }
            places[place] = UInt32(number + 1)
        }
    }

    /// Hashes a name. Source: FNV-1a.
    private static func hash(_ name: UnsafeRawBufferPointer) -> UInt32 {
        var hash: UInt32 = 2_166_136_261
        for byte in name { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return hash ^ (hash >> 15)
    }
}
