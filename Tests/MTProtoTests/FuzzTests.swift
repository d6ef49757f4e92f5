import TL
import Testing

@testable import MTProto

/// Tests with a server that has the key and sends random messages: the client may refuse them, and must not fail otherwise.
@Suite struct FuzzTests {
    /// A generator with the same numbers in each run.
    struct Chance: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            return mixed ^ mixed >> 31
        }
    }

    static let kinds = [
        ServiceID.container, ServiceID.result, ServiceID.ack, ServiceID.badMessage, ServiceID.badSalt,
        ServiceID.stateRequest, ServiceID.stateInfo, ServiceID.allInfo, ServiceID.detailedInfo,
        ServiceID.newDetailedInfo, ServiceID.resendRequest, ServiceID.newSession, ServiceID.pong,
        ServiceID.futureSalts, Gzip.id, ServiceID.sessionDestroyed,
    ]

    /// Returns a message of a known kind that mostly refers to known messages.
    static func body(_ ids: [Int64], _ chance: inout Chance) -> [UInt8] {
        let numbers: [Int64] = ids + [0, 1, -1, .max, .min, 1 << 62, 16, 17, 48]
        var writer = TLWriter()
        writer.word(kinds.randomElement(using: &chance) ?? 0)
        for _ in 0..<Int.random(in: 0...6, using: &chance) {
            switch Int.random(in: 0...5, using: &chance) {
            case 0: writer.vector(count: Int.random(in: 0...4, using: &chance))
            case 1: writer.word(UInt32.random(in: 0...64, using: &chance))
            case 2:
                writer.bytes(
                    (0..<Int.random(in: 0...20, using: &chance)).map { _ in UInt8.random(in: 0...255, using: &chance) })
            case 3: writer.word(kinds.randomElement(using: &chance) ?? 0)
            default: writer.long(numbers.randomElement(using: &chance) ?? 0)
            }
        }
        return writer.bytes
    }

    @Test(arguments: 1...8) func `Random server input never crashes a session`(_ seed: UInt64) throws {
        var chance = Chance(state: seed)
        for _ in 0..<40 {
            var peer = try Peer(initialization: [1, 2, 3, 4])
            var ids: [Int64] = []
            for round in 0..<40 {
                peer.session.call(CallID(round), [UInt8](repeating: 1, count: 8))
                ids += try peer.sentAtOnce().map(\.id).suffix(3)
                let message = EncryptedMessage(
                    salt: 0, sessionID: peer.session.id, id: peer.nextID(),
                    sequence: Int32.random(in: -2...2, using: &chance), body: Self.body(ids, &chance)[...])
                let packet = message.sealed(peer.key, .system, as: .server).packet
                do {
                    _ = try peer.session.receive(packet[...], at: peer.now)
                    peer.wait(Double.random(in: 0...9, using: &chance))
                    try peer.session.tick(at: peer.now)
                } catch {
                    // Only the server's faults are reported. A connection would end here; the session's state must stay valid.
                    #expect([.protocolBroken, .disconnected].contains(error.code))
                }
            }
            // In any case, no call exists twice.
            let calls = peer.session.takeCalls().map(\.0)
            #expect(Set(calls).count == calls.count)
        }
    }

    @Test(arguments: TransportKind.allCases) func `Random bytes never crash the frame reader`(_ kind: TransportKind) {
        var chance = Chance(state: 5)
        for _ in 0..<2000 {
            var framing = Framing(kind)
            let bytes = (0..<Int.random(in: 0...64, using: &chance)).map { _ in
                Bool.random(using: &chance) ? UInt8.random(in: 0...255, using: &chance) : 0
            }
            var rest = bytes[...]
            var count = 0
            while let frame = try? framing.next(&rest) {
                count += 1
                if case .packet(let packet) = frame { _ = try? PlainMessage.body(of: packet) }
            }
            #expect(count <= bytes.count)
        }
    }
}
