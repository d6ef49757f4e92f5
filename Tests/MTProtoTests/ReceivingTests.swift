import TL
import Testing

@testable import MTProto

/// Tests of the messages that a session accepts from a server.
@Suite struct ReceivingTests {
    static let update: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

    @Test func `A valid message is accepted and acknowledged a little later`() throws {
        var peer = try Peer()
        let id = peer.nextID()
        #expect(try peer.deliver(Self.update, id: id).updates == [Self.update])
        #expect(try peer.sentAtOnce().isEmpty)
        #expect(peer.session.deadline <= peer.now.steady + 1)
        peer.wait(1)
        let sent = try peer.sentAtOnce()
        #expect(sent.map(\.constructor) == [ServiceID.ack])
        #expect(try Incoming.ids(try #require(sent.first).body[...]) == [id])
        #expect(try peer.sentAtOnce().isEmpty)
    }

    @Test func `Acknowledgements are sent at once with a call`() throws {
        var peer = try Peer()
        _ = try peer.deliver(Self.update)
        peer.session.call(1, Self.update)
        let packets = try peer.sent()
        #expect(packets.count == 1)
        #expect(packets.first?.map(\.constructor) == [ServiceID.ack, 0x0403_0201])
    }

    @Test(arguments: [301.0, 3600, -31, -3600])
    func `A message from long ago or from the future is refused`(_ age: Double) throws {
        var peer = try Peer()
        let id = peer.nextID(secondsAgo: age)
        #expect(throws: MTProtoError.self) { try peer.deliver(Self.update, id: id) }
    }

    @Test(arguments: [299.0, 100, -29]) func `A message within the time window is accepted`(_ age: Double) throws {
        var peer = try Peer()
        let id = peer.nextID(secondsAgo: age)
        #expect(try peer.deliver(Self.update, id: id).updates.count == 1)
    }

    @Test func `A message of another session is refused`() throws {
        var peer = try Peer()
        let other = peer.session.id &+ 1
        #expect(throws: MTProtoError.self) { try peer.deliver(Self.update, sessionID: other) }
    }

    @Test(arguments: [Int64(0), 2]) func `A message with a client's id is refused`(_ low: Int64) throws {
        var peer = try Peer()
        let id = peer.nextID() & ~3 | low
        #expect(throws: MTProtoError.self) { try peer.deliver(Self.update, id: id) }
    }

    @Test func `A replayed message is refused`() throws {
        var peer = try Peer()
        let id = peer.nextID()
        _ = try peer.deliver(Self.update, id: id)
        #expect(throws: MTProtoError.self) { try peer.deliver(Self.update, id: id) }
    }

    @Test
    func `A message that is resent in a container or on another connection is acknowledged but not delivered twice`()
        throws
    {
        var peer = try Peer()
        let id = peer.nextID()
        _ = try peer.deliver(Self.update, id: id)
        peer.wait(1)
        _ = try peer.sentAtOnce()
        #expect(try peer.deliver(Peer.container([(id, Self.update)]), isContent: false).updates.isEmpty)
        peer.wait(1)
        #expect(try peer.sentAtOnce().map(\.constructor) == [ServiceID.ack])
        peer.session.connected(at: peer.now)
        #expect(try peer.deliver(Self.update, id: id).updates.isEmpty)
        peer.wait(1)
        #expect(try peer.sentAtOnce().map(\.constructor) == [ServiceID.ack])
    }

    @Test func `A message older than every remembered id is ignored`() throws {
        var peer = try Peer()
        let early = peer.nextID()
        peer.wait(10)
        for _ in 0..<ReceivedMessages.maxRemembered + 10 { _ = try peer.deliver(Self.update) }
        #expect(try peer.deliver(Self.update, id: early).updates.isEmpty)
    }

    @Test func `Containers that are nested, packed twice or have a wrong length are refused`() throws {
        let inner = Peer.container([(1 << 32 | 1, Self.update)])
        let packed = TLBytes { writer in
            writer.word(Gzip.id)
            writer.bytes([0x1f, 0x8b])
        }
        let tooMany = TLBytes { writer in
            writer.word(ServiceID.container)
            writer.int(.max)
        }
        for body in [Peer.container([(1 << 32 | 5, inner)]), packed, tooMany] {
            var peer = try Peer()
            #expect(throws: MTProtoError.self) { try peer.deliver(body) }
        }
    }

    @Test func `Every altered byte of a packet is detected`() throws {
        var peer = try Peer()
        let message = EncryptedMessage(
            salt: 5, sessionID: peer.session.id, id: peer.nextID(), sequence: 1, body: Self.update[...])
        let packet = message.sealed(peer.key, .system, as: .server).packet
        for place in packet.indices {
            var altered = packet
            altered[place] ^= 1
            #expect(throws: MTProtoError.self) { try peer.session.receive(altered[...], at: peer.now) }
        }
        for count in 0..<packet.count - 15 {
            #expect(throws: MTProtoError.self) { try peer.session.receive(packet[..<count], at: peer.now) }
        }
        #expect(try peer.session.receive(packet[...], at: peer.now).updates == [Self.update])
    }

    @Test func `The client's own packet is not accepted as the server's`() throws {
        var peer = try Peer()
        let message = EncryptedMessage(
            salt: 5, sessionID: peer.session.id, id: peer.nextID(), sequence: 1, body: Self.update[...])
        let packet = message.sealed(peer.key, .system, as: .client).packet
        #expect(throws: MTProtoError.self) { try peer.session.receive(packet[...], at: peer.now) }
    }

    @Test func `Requests for message states are answered`() throws {
        var peer = try Peer()
        let known = peer.nextID()
        _ = try peer.deliver(Self.update, id: known)
        let unknown = known + 400
        let question = peer.nextID() + 4000
        _ = try peer.deliver(ServiceMessage.list(ServiceID.stateRequest, [known, unknown, 1, .max]), id: question)
        let answer = try #require(try peer.sentAtOnce().first { $0.constructor == ServiceID.stateInfo })
        var reader = TLReader(answer.body)
        _ = (try reader.word(), try reader.long())
        #expect(Array(try reader.bytes()) == [4, 2, 1, 3])
    }
}
