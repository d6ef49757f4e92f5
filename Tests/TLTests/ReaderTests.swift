import TL
import Testing

@Suite struct ReaderTests {
    @Test func `Hand-written values are read back`() throws {
        var writer = TLWriter()
        writer.word(0x2144_ca19)
        writer.int(-5)
        writer.long(.min)
        writer.double(0.5)
        writer.bool(true)
        writer.bool(false)
        writer.raw([UInt8](repeating: 7, count: 16))
        writer.vector(count: 2)
        for count in [0, 1, 2, 3, 4, 252, 253, 254, 255, 256, 70_000] {
            writer.bytes([UInt8](repeating: 9, count: count))
        }
        writer.string("é")
        var reader = TLReader([1, 2] + writer.bytes)
        _ = try reader.raw(2)
        #expect(reader.next == 0x2144_ca19)
        #expect(try reader.word() == 0x2144_ca19)
        #expect(try reader.int() == -5)
        #expect(try reader.long() == .min)
        #expect(try reader.double() == 0.5)
        #expect(try reader.bool() && !(try reader.bool()))
        #expect(try Array(reader.raw(16)) == [UInt8](repeating: 7, count: 16))
        #expect(try reader.vector() == 2)
        for count in [0, 1, 2, 3, 4, 252, 253, 254, 255, 256, 70_000] { #expect(try reader.bytes().count == count) }
        #expect(try reader.string() == "é")
        try reader.end()
        #expect(reader.rest.isEmpty && reader.next == nil)
    }

    @Test func `Missing bytes are refused`() throws {
        #expect(throws: TLError.self) {
            try {
                var reader = TLReader([1, 2, 3]); _ = try reader.word()
            }()
        }
        #expect(throws: TLError.self) {
            try {
                var reader = TLReader([1, 2, 3, 4]); _ = try reader.bool()
            }()
        }
        #expect(throws: TLError.self) {
            try {
                var reader = TLReader([4, 2, 3, 4]); _ = try reader.bytes()
            }()
        }
        #expect(throws: TLError.self) {
            try {
                var reader = TLReader([254, 255, 255, 255]); _ = try reader.bytes()
            }()
        }
        #expect(throws: TLError.self) {
            try {
                var reader = TLReader([255, 0, 0, 0]); _ = try reader.bytes()
            }()
        }
        #expect(throws: TLError.self) {
            try {
                var reader = TLReader([1, 0, 0, 0]); _ = try reader.count()
            }()
        }
        #expect(throws: TLError.self) {
            try {
                var reader = TLReader([]); _ = try reader.raw(-1)
            }()
        }
        #expect(throws: TLError.self) { try TLReader([0]).end() }
    }

    @Test func `A refused read leaves the position unchanged`() throws {
        var reader = TLReader([0x15, 0xc4, 0xb5, 0x1c, 1, 0, 0, 0])
        #expect(throws: TLError.self) { try reader.bool() }
        #expect(throws: TLError.self) {
            _ = try reader.long()
            _ = try reader.long()
        }
        #expect(reader.offset == 8)
    }
}
