import TL
import Testing

@testable import MTProto

/// Tests of the messages that a session sends, and of the server's reactions.
@Suite struct SendingTests {
    static let request: [UInt8] = [1, 2, 3, 4]
    static let answer: [UInt8] = [9, 8, 7, 6]

    @Test func `A call is answered once, by its message id`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        let message = try #require(try peer.sentAtOnce().first)
        #expect(message.sequence == 1)
        #expect(message.body == Self.request)
        #expect(try peer.deliver(Peer.result(of: message.id + 4, Self.answer)).answers == [:])
        #expect(try peer.deliver(Peer.result(of: message.id, Self.answer)).answers == [1: Self.answer])
        #expect(try peer.deliver(Peer.result(of: message.id, Self.answer)).answers == [:])
    }

    @Test func `Simultaneous calls share a container with increasing ids and sequence numbers`() throws {
        var peer = try Peer()
        for call in 1...5 { peer.session.call(CallID(call), Self.request) }
        let packets = try peer.sent()
        #expect(packets.count == 1)
        #expect(packets.first?.map(\.sequence) == [1, 3, 5, 7, 9])
        let ids = packets.first?.map(\.id) ?? []
        #expect(ids == ids.sorted() && Set(ids).count == 5)
    }

    @Test func `Long calls do not share a container`() throws {
        var peer = try Peer()
        for call in 1...3 { peer.session.call(CallID(call), [UInt8](repeating: 1, count: 200_000)) }
        #expect(try peer.sent().map(\.count) == [1, 1, 1])
    }

    @Test func `initConnection is repeated until the server has accepted it`() throws {
        var peer = try Peer(initialization: [0, 0, 0, 1])
        peer.session.call(1, Self.request)
        peer.session.call(2, Self.request)
        let first = try peer.sentAtOnce()
        #expect(first.map(\.body) == [[0, 0, 0, 1] + Self.request, [0, 0, 0, 1] + Self.request])
        _ = try peer.deliver(Peer.result(of: first[0].id, Self.answer))
        peer.session.call(3, Self.request)
        #expect(try peer.sentAtOnce().last?.body == Self.request)
    }

    @Test func `Gzip packing is used in both directions where it helps`() throws {
        var peer = try Peer()
        let long = [UInt8](repeating: 7, count: 4000)
        peer.session.call(1, long)
        let message = try #require(try peer.sentAtOnce().first)
        #expect(message.constructor == Gzip.id)
        #expect(try Gzip.unpacked(message.body[...]) == long)
        #expect(try peer.deliver(Peer.result(of: message.id, Gzip.packed(long))).answers == [1: long])
        #expect(try peer.deliver(Gzip.packed(long)).updates == [long])
    }

    @Test func `Packed messages of any length are unpacked, and those that tell a wrong length are refused`() throws {
        func packed(_ body: [UInt8]) throws -> [UInt8] {
            var reader = TLReader(Gzip.packed(body))
            try reader.expect(Gzip.id)
            return Array(try reader.bytes())
        }
        func message(_ bytes: [UInt8]) -> [UInt8] {
            var writer = TLWriter(reserving: bytes.count + 12)
            writer.word(Gzip.id)
            writer.bytes(bytes)
            return writer.bytes
        }
        let long = [UInt8](repeating: 7, count: 60_000)
        let gzip = try packed(long)
        #expect(gzip.starts(with: [0x1F, 0x8B]))
        #expect(try Gzip.unpacked(message(gzip)[...]) == long)
        // The last four bytes tell the length.
        for told: UInt32 in [0, 1, 59_999, 60_001, 1 << 20, .max] {
            let wrong = gzip.dropLast(4) + withUnsafeBytes(of: told.littleEndian) { Array($0) }
            #expect(throws: MTProtoError.self) { try Gzip.unpacked(message(Array(wrong))[...]) }
        }
        for count in [0, 1, 17, gzip.count - 9, gzip.count - 1] {
            #expect(throws: MTProtoError.self) { try Gzip.unpacked(message(Array(gzip.prefix(count)))[...]) }
        }
        // The form of zlib tells no length: a head, the same packed bytes, and another checksum.
        var (low, high): (UInt32, UInt32) = (1, 0)
        for byte in long {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        let sum = withUnsafeBytes(of: (high << 16 | low).bigEndian) { Array($0) }
        let zlib = [0x78, 0x9C] + gzip.dropFirst(10).dropLast(8) + sum
        #expect(try Gzip.unpacked(message(zlib)[...]) == long)
    }

    @Test func `A wrong salt is replaced and its messages are resent under new ids`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        peer.session.call(2, Self.request)
        let sealed = peer.session.flush(at: peer.now)
        let container = try EncryptedMessage(opening: try #require(sealed.first).packet[...], peer.key, from: .client)
        _ = try peer.deliver(Peer.refusal(of: container.id, code: 48, salt: 77), isContent: false)
        let again = try #require(peer.session.flush(at: peer.now).first)
        let opened = try EncryptedMessage(opening: again.packet[...], peer.key, from: .client)
        #expect(opened.salt == 77)
        #expect(opened.id > container.id)
    }

    @Test func `A message that is refused repeatedly ends the session`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        #expect(throws: MTProtoError.self) {
            for salt in 1...20 {
                let message = try #require(try peer.sentAtOnce().first)
                _ = try peer.deliver(Peer.refusal(of: message.id, code: 48, salt: Int64(salt)), isContent: false)
            }
        }
    }

    @Test func `On a new connection calls are resent unchanged in a container`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        let first = try #require(try peer.sentAtOnce().first)
        peer.wait(5)
        peer.session.connected(at: peer.now)
        let sealed = try #require(peer.session.flush(at: peer.now).first)
        let outer = try EncryptedMessage(opening: sealed.packet[...], peer.key, from: .client)
        #expect(TLReader(outer.body).next == ServiceID.container)
        peer.session.connected(at: peer.now)
        let again = try #require(try peer.sentAtOnce().first)
        #expect(again.id == first.id && again.sequence == first.sequence && again.body == first.body)
    }

    @Test func `A resent call may be answered again, but not without limit`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        let request = try #require(try peer.sentAtOnce().first)
        peer.session.connected(at: peer.now)
        _ = try peer.sentAtOnce()
        let result = Peer.result(of: request.id, Self.answer)
        let id = peer.nextID()
        #expect(try peer.deliver(result, id: id).answers == [1: Self.answer])
        #expect(try peer.deliver(result, id: id).answers == [:])
        #expect(throws: MTProtoError.self) { try peer.deliver(result, id: id) }
    }

    @Test func `A server that created a new session receives the calls again`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        let first = try #require(try peer.sentAtOnce().first)
        let created = TLBytes { writer in
            writer.word(ServiceID.newSession)
            writer.long(first.id + 1)
            writer.long(11)
            writer.long(99)
        }
        #expect(try peer.deliver(created).hasGap)
        let again = try #require(try peer.sentAtOnce().first { $0.body == Self.request })
        #expect(again.id > first.id)
        #expect(try peer.deliver(created).hasGap == false)
    }

    @Test(arguments: [Int32(17), 18, 19, 32, 33, 34, 35, 64])
    func `A session that the server rejects is replaced and keeps its calls`(_ code: Int32) throws {
        var peer = try Peer()
        let id = peer.session.id
        peer.session.call(1, Self.request)
        let first = try #require(try peer.sentAtOnce().first)
        _ = try peer.deliver(Peer.refusal(of: first.id, code: code), isContent: false)
        #expect(peer.session.id != id)
        let again = try peer.sentAtOnce()
        #expect(again.contains { $0.body == Self.request && $0.sequence == 1 })
        // Messages of the old session that were on their way are ignored.
        #expect(try peer.deliver(Self.answer, sessionID: id).isEmpty)
        let request = try #require(again.first { $0.body == Self.request })
        #expect(try peer.deliver(Peer.result(of: request.id, Self.answer)).answers == [1: Self.answer])
    }

    @Test func `A wrong clock is corrected from the server's time`() throws {
        var peer = try Peer(clockError: -3600)
        peer.session.call(1, Self.request)
        let first = try #require(try peer.sentAtOnce().first)
        _ = try peer.deliver(Peer.refusal(of: first.id, code: 16), isContent: false)
        let again = try #require(try peer.sentAtOnce().first)
        #expect(abs(ServerClock.time(of: again.id) - peer.now.wall) < 5)
    }

    @Test func `Requested messages are resent and unknown ones are reported`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        let first = try #require(try peer.sentAtOnce().first)
        _ = try peer.deliver(ServiceMessage.list(ServiceID.resendRequest, [first.id, 4]))
        let sent = try peer.sentAtOnce()
        #expect(sent.contains { $0.id == first.id && $0.body == Self.request })
        #expect(sent.contains { $0.constructor == ServiceID.stateInfo })
    }

    @Test func `An announced answer is requested and then accepted`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        let first = try #require(try peer.sentAtOnce().first)
        let answerID = peer.nextID()
        let announcement = TLBytes { writer in
            writer.word(ServiceID.detailedInfo)
            writer.long(first.id)
            writer.long(answerID)
            writer.int(100)
            writer.int(0)
        }
        _ = try peer.deliver(announcement, isContent: false)
        #expect(try peer.sentAtOnce().contains { $0.constructor == ServiceID.resendRequest })
        #expect(try peer.deliver(Peer.result(of: first.id, Self.answer), id: answerID).answers == [1: Self.answer])
        #expect(try peer.deliver(Peer.result(of: first.id, Self.answer), id: answerID).answers == [:])
    }

    @Test func `Unacknowledged messages are queried and resent if lost`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        let first = try #require(try peer.sentAtOnce().first)
        peer.wait(11)
        try peer.session.tick(at: peer.now)
        let question = try #require(try peer.sentAtOnce().first { $0.constructor == ServiceID.stateRequest })
        _ = try peer.deliver(ServiceMessage.stateInfo(of: question.id, [2]), isContent: false)
        #expect(try peer.sentAtOnce().contains { $0.id == first.id && $0.body == Self.request })
    }

    @Test func `A silent server is pinged, then given up`() throws {
        var peer = try Peer()
        peer.wait(Liveness.renewalSeconds + 1)
        try peer.session.tick(at: peer.now)
        #expect(try peer.sentAtOnce().contains { $0.constructor == ServiceID.pingDelayDisconnect })
        peer.wait(Liveness.answerSeconds + 1)
        let failure = #expect(throws: MTProtoError.self) { try peer.session.tick(at: peer.now) }
        #expect(failure?.code == .disconnected)
    }

    /// Plays ten minutes with a server that sends something every five seconds, and closes the connection when no
    /// ping_delay_disconnect has renewed the delay of the last one.
    @Test(arguments: [nil, 100.0, 215.0]) func `A busy connection is never closed by the delay of its own ping`(
        sessionLostAfter: Double?
    ) throws {
        var peer = try Peer()
        let start = peer.now.steady
        var closesAt = Double.infinity
        var pings = 0
        var nextUpdate = start + 5
        var isLost = false
        while peer.now.steady < start + 600 {
            peer.wait(max(min(nextUpdate, peer.session.deadline) - peer.now.steady, 0.001))
            try #require(peer.now.steady < closesAt, "the server has closed the connection")
            try peer.session.tick(at: peer.now)
            for message in try peer.sentAtOnce() where message.constructor == ServiceID.pingDelayDisconnect {
                var reader = TLReader(message.body.dropFirst(12))
                let delay = Double(try reader.int())
                // The server refuses a message with a code that only a new session overcomes.
                if let sessionLostAfter, peer.now.steady - start > sessionLostAfter, !isLost {
                    isLost = true
                    _ = try peer.deliver(Peer.refusal(of: message.id, code: 32), isContent: false)
                    continue
                }
                closesAt = peer.now.steady + delay
                pings += 1
            }
            if peer.now.steady >= nextUpdate {
                _ = try peer.deliver(Self.answer)
                nextUpdate += 5
            }
        }
        #expect(closesAt < .infinity && pings <= 15)
    }

    @Test func `A cancelled call is not sent, or its answer is dropped`() throws {
        var peer = try Peer()
        peer.session.call(1, Self.request)
        peer.session.cancel(1)
        #expect(try peer.sentAtOnce().isEmpty)
        peer.session.call(2, Self.request)
        let message = try #require(try peer.sentAtOnce().first)
        peer.session.cancel(2)
        #expect(try peer.sentAtOnce().map(\.constructor) == [ServiceID.dropAnswer])
        #expect(try peer.deliver(Peer.result(of: message.id, Self.answer)).answers == [:])
    }

    @Test func `Announced salts are used during their validity`() {
        var salts = Salts(1)
        salts.add([
            Salts.Future(since: 100, until: 200, salt: 2), Salts.Future(since: 150, until: 250, salt: 3),
        ])
        #expect(salts.salt(at: 99) == 1)
        #expect(salts.salt(at: 100) == 2)
        #expect(salts.salt(at: 151) == 3)
        #expect(salts.salt(at: 9999) == 3)
    }
}
