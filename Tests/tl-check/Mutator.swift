import JSON
import TL
import TestSupport

/// Turns valid bytes and JSON into hostile ones.
struct Mutator {
    private let objects: [Sample]
    private let ids: [UInt32]
    private let names: [String]
    var generator: SeededGenerator

    private static let words: [UInt32] = [
        0, 1, 2, 3, 16, 0xFF, 0xFE, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, .max, 0x1cb5_c415, 0x9972_75b5, 0xbc79_9737,
        0x3072_cfa1, 0xF35C_6D01, 0x00FF_FFFE, 0xFFFF_FFFE, 0x2222_2203, 0x0A0A_0A03, 0xC0C0_C003, 0xF4F4_F4F4,
    ]

    init(objects: [Sample], schema: TLSchema, seed: UInt64) {
        self.objects = objects
        let all = schema.constructorNames.compactMap(schema.constructor) + schema.methodNames.compactMap(schema.method)
        ids = all.map(\.id)
        names = Array(Set(all.flatMap { [$0.name] + $0.parameters.map(\.name) }))
        generator = SeededGenerator(seed: seed)
    }

    mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }

    mutating func bytes() -> (bytes: [UInt8], type: TLType) {
        let sample = objects[number(0..<objects.count)]
        var bytes = number(0..<20) == 0 ? noise() : sample.bytes
        // Usually there is a single fault, because the first one hides the others.
        for _ in 0..<(number(0..<3) == 0 ? number(0..<5) : 1) { mutate(&bytes) }
        return (bytes, sample.type)
    }

    private mutating func noise() -> [UInt8] {
        var bytes = little(ids[number(0..<ids.count)])
        for _ in 0..<number(0..<64) { bytes += little(word()) }
        return bytes
    }

    private mutating func word() -> UInt32 {
        switch number(0..<3) {
        case 0: ids[number(0..<ids.count)]
        case 1: Mutator.words[number(0..<Mutator.words.count)]
        default: UInt32.random(in: 0...UInt32.max, using: &generator)
        }
    }

    private func little(_ word: UInt32) -> [UInt8] { withUnsafeBytes(of: word.littleEndian) { Array($0) } }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let place = bytes.isEmpty ? 0 : number(0..<bytes.count)
        let start = place & ~3
        let end = min(bytes.count, start + 4 * number(1..<9))
        switch number(0..<9) {
        case 0 where !bytes.isEmpty: bytes[place] = UInt8(truncatingIfNeeded: generator.next())
        case 1, 2: bytes.replaceSubrange(start..<min(bytes.count, start + 4), with: little(word()))
        case 3: bytes.removeSubrange(place...)
        case 4: bytes += little(word())
        case 5: bytes.removeSubrange(start..<end)
        case 6:
            let other = objects[number(0..<objects.count)].bytes
            bytes = Array(bytes[..<start]) + other[(number(0..<other.count) & ~3)...]
        case 7: bytes.insert(contentsOf: bytes[start..<end], at: start)
        default:
            // Repeats a piece many times, so that nesting becomes deep.
            let piece = Array(bytes[start..<end])
            bytes.insert(contentsOf: repeatElement(piece, count: number(1..<300)).joined(), at: start)
        }
    }

    /// Replaces one place in the value.
    mutating func json(_ value: JSON) -> JSON {
        guard number(0..<4) > 0 else { return strange() }
        switch value {
        case .array(var items) where !items.isEmpty:
            let index = number(0..<items.count)
            items[index] = json(items[index])
            return .array(items)
        case .object(let object) where !object.isEmpty:
            var members = object.members
            let index = number(0..<members.count)
            switch number(0..<6) {
            case 0: members.remove(at: index)
            case 1: members.append(JSONObject.Member(key: names[number(0..<names.count)], value: strange()))
            default: members[index].value = json(members[index].value)
            }
            return .object(JSONObject(members))
        default: return strange()
        }
    }

    private mutating func strange() -> JSON {
        let name = names[number(0..<names.count)]
        let values: [JSON] = [
            .null, true, false, 0, -1, 1.5, .integer(.min), .integer(.max), .unsigned(.max), .number(.infinity), "",
            "NaN", "AAAA", "9223372036854775808", "-9223372036854775808", .string(name), [], [0], .object([:]),
            .object(["_": .string(name)]), .string(String(repeating: "f", count: 32)), "\u{0}\n\"", .number(1e300),
        ]
        return values[number(0..<values.count)]
    }
}
