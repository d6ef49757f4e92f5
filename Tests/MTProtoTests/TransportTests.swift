import Testing

@testable import MTProto

@Suite struct TransportTests {
    static let packets = [24, 40, 504, 508, 512, 70_000].map { count in
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ count) }
    }

    @Test(arguments: TransportKind.allCases) func `Packets are the same however their bytes arrive`(
        _ kind: TransportKind
    ) throws {
        var sender = Framing(kind)
        var bytes: [UInt8] = []
        for packet in Self.packets { sender.append(packet, .system, to: &bytes) }
        for size in [1, 3, 7, 1000, bytes.count] {
            var link = try TransportLink(TransportSettings(kind), secret: nil, dataCenter: 2, random: .system)
            var received: [TransportFrame] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                link.receive(bytes[start..<min(start + size, bytes.count)])
                while let frame = try link.next() { received.append(frame) }
            }
            // The reader of a padded packet removes the padding.
            let packets = zip(received, Self.packets).map { frame, packet in
                if case .packet(let bytes) = frame { Array(bytes.prefix(packet.count)) } else { [UInt8]() }
            }
            #expect(packets == Self.packets)
            #expect(received.count == Self.packets.count)
        }
    }

    @Test func `Frames have the documented layout`() {
        let packet = [UInt8](repeating: 1, count: 24)
        var bytes: [UInt8] = []
        var abridged = Framing(.abridged)
        abridged.append(packet, .system, to: &bytes)
        #expect(bytes == [6] + packet)
        bytes = []
        abridged.append([UInt8](repeating: 1, count: 508), wantsQuickAck: true, .system, to: &bytes)
        #expect(Array(bytes.prefix(4)) == [0xff, 127, 0, 0])
        bytes = []
        var intermediate = Framing(.intermediate)
        intermediate.append(packet, wantsQuickAck: true, .system, to: &bytes)
        #expect(bytes == [24, 0, 0, 0x80] + packet)
        bytes = []
        var full = Framing(.full)
        full.append([1, 2, 3, 4], .system, to: &bytes)
        #expect(bytes == [16, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0x42, 0x0f, 0xb5, 0xe0])
    }

    @Test func `Errors and quick acknowledgements are distinguished from packets`() throws {
        let error: [UInt8] = [0x6c, 0xfe, 0xff, 0xff]
        let cases: [(TransportKind, [UInt8], TransportFrame)] = [
            (.abridged, [1] + error, .error(404)), (.intermediate, [4, 0, 0, 0] + error, .error(404)),
            (.padded, [9, 0, 0, 0] + error + [1, 2, 3, 4, 5], .error(404)),
            (.abridged, [0x81, 2, 3, 4], .quickAck(0x8102_0304)),
            (.intermediate, [4, 3, 2, 0x81], .quickAck(0x8102_0304)),
        ]
        for (kind, bytes, frame) in cases {
            var framing = Framing(kind)
            var rest = bytes[...]
            #expect(try framing.next(&rest) == frame)
            #expect(rest.isEmpty)
        }
    }

    @Test(arguments: [
        (TransportKind.abridged, [UInt8](arrayLiteral: 0, 0, 0, 0)), (.intermediate, [3, 0, 0, 0, 1, 2, 3]),
        (.intermediate, [0, 0, 0, 0x40]), (.intermediate, [25, 0, 0, 0]), (.full, [8, 0, 0, 0, 0, 0, 0, 0]),
        (.full, [16, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]), (.full, [0xff, 0xff, 0xff, 0xff]),
        (.intermediate, [4, 0, 0, 0, 1, 0, 0, 0]),
    ]) func `Impossible frames are refused`(_ kind: TransportKind, _ bytes: [UInt8]) {
        var framing = Framing(kind)
        #expect(throws: MTProtoError.self) {
            var rest = bytes[...]
            _ = try framing.next(&rest)
        }
    }

    @Test func `Obfuscated connections begin with random-looking bytes`() throws {
        // The first random bytes here are those of another transport.
        let random = RandomSource { count in
            [UInt8](repeating: count == 64 ? UInt8.random(in: 0xee...0xf0) : 0, count: count)
        }
        for _ in 0..<20 {
            let obfuscation = Obfuscation(tag: TransportKind.padded.tag, secret: nil, dataCenter: -2, random)
            #expect(obfuscation.header.count == 64)
            #expect(obfuscation.header[0] != 0xef)
            #expect(Array(obfuscation.header[..<4]) != TransportKind.intermediate.tag)
        }
    }
}
