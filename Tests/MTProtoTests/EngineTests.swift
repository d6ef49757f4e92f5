import Crypto
import TL
import Testing

@testable import MTProto

/// Tests of a connection without its socket, with a server that is a value.
@Suite struct EngineTests {
    /// A server that makes keys, and answers each call with its own bytes.
    struct Server {
        var engine: Engine
        var now = Moment(wall: 1_700_000_000, steady: 500)
        private(set) var keys: [AuthKey] = []
        private(set) var bound: [Int64] = []
        private(set) var calls: [[UInt8]] = []
        private var handshake: HandshakeServer?
        private var unread: [UInt8] = []
        private var incoming = Framing(.intermediate)
        private var outgoing = Framing(.intermediate)
        private var lastID: Int64 = 0

        init(_ change: (inout ConnectionSettings) -> Void = { _ in }) {
            var settings = ConnectionSettings(addresses: [], dataCenter: 2)
            settings.serverKeys = [HandshakeServer.key]
            change(&settings)
            engine = Engine(settings)
        }

        mutating func connect() throws {
            (unread, incoming, outgoing) = ([], Framing(.intermediate), Framing(.intermediate))
            try engine.connected(to: ServerAddress("server", 443), at: now)
            var greeting = engine.takeUnsent()
            #expect(greeting.starts(with: [0xee, 0xee, 0xee, 0xee]))
            greeting.removeFirst(4)
            unread = greeting
        }

        /// Exchanges both sides' packets until neither has one.
        mutating func talk() throws -> [SessionEvent] {
            while true {
                unread += engine.takeUnsent()
                var rest = unread[...]
                guard case .packet(let packet)? = try incoming.next(&rest) else { return engine.takeEvents() }
                unread = Array(rest)
                for answer in try answers(Array(packet)) { try send(answer) }
                try engine.tick(at: now)
            }
        }

        mutating func send(_ packet: [UInt8]) throws {
            var bytes: [UInt8] = []
            outgoing.append(packet, .system, to: &bytes)
            try engine.receive(bytes, at: now)
        }

        private mutating func nextID() -> Int64 {
            lastID = max(Int64(now.wall * 4_294_967_296) & ~3 | 1, lastID + 4)
            return lastID
        }

        private mutating func answers(_ packet: [UInt8]) throws -> [[UInt8]] {
            guard TLReader(packet).next != 0 else {
                let body = Array(try PlainMessage.body(of: Self.asServers(packet)[...]))
                return [PlainMessage.packet(try answer(body), messageID: nextID())]
            }
            var reader = TLReader(packet)
            let id = try reader.long()
            let key = try #require(keys.first { $0.id == id })
            let message = try EncryptedMessage(opening: packet[...], key, from: .client)
            return try Self.contents(message).map { id, body in
                let answer = EncryptedMessage(
                    salt: 0, sessionID: message.sessionID, id: nextID(), sequence: 1,
                    body: Peer.result(of: id, try self.answer(body, to: id, key))[...])
                return answer.sealed(key, .system, as: .server).packet
            }
        }

        /// Marks a client's message id as one of a server, so that the client's own code can read the packet.
        private static func asServers(_ packet: [UInt8]) -> [UInt8] {
            var packet = packet
            packet[8] |= 1
            return packet
        }

        private mutating func answer(_ body: [UInt8]) throws -> [UInt8] {
            switch TLReader(body).next {
            case HandshakeID.requestPQ:
                handshake = try HandshakeServer(time: Int32(now.wall))
                return try handshake?.answerPQ(body) ?? []
            case HandshakeID.requestParameters: return try handshake?.answerParameters(body) ?? []
            default:
                let answer = try handshake?.conclude(body, HandshakeID.ok, retryID: 0) ?? []
                keys.append(try #require(handshake?.key))
                return answer
            }
        }

        private static func contents(_ message: EncryptedMessage) throws -> [(Int64, [UInt8])] {
            var reader = TLReader(message.body)
            guard reader.next == ServiceID.container else { return [(message.id, Array(message.body))] }
            _ = try reader.word()
            return try (0..<(try reader.count())).map { _ in
                let (id, _, count) = (try reader.long(), try reader.int(), Int(try reader.int()))
                return (id, Array(try reader.raw(count)))
            }
        }

        private mutating func answer(_ body: [UInt8], to id: Int64, _ key: AuthKey) throws -> [UInt8] {
            guard TLReader(body).next == ServiceID.bindTemporaryKey else {
                if body.count >= 8, TLReader(body).next == EngineTests.call { calls.append(body) }
                return body
            }
            try checkBinding(body, id, key)
            bound.append(key.id)
            return TLBytes { $0.bool(true) }
        }

        /// Checks that the inner message, encrypted with the permanent key, names both keys and has the outer message's id.
        private func checkBinding(_ body: [UInt8], _ id: Int64, _ key: AuthKey) throws {
            let permanent = try #require(keys.first)
            var reader = TLReader(body)
            _ = try reader.word()
            #expect(try reader.long() == permanent.id)
            let (nonce, _, encrypted) = (try reader.long(), try reader.int(), try reader.bytes())
            let messageKey = encrypted.dropFirst(8).prefix(16)
            let plain = MessageCipher(version1: permanent, messageKey: messageKey).decrypted(encrypted.dropFirst(24))
            var inner = TLReader(plain)
            _ = try inner.raw(16)
            #expect(try inner.long() == id)
            _ = try inner.int()
            let count = Int(try inner.int())
            #expect(Hash.sha1(plain[..<(32 + count)])[4...] == messageKey)
            #expect(try inner.word() == ServiceID.bindInner)
            #expect(try [inner.long(), inner.long(), inner.long()] == [nonce, key.id, permanent.id])
        }
    }

    static let call: UInt32 = 0x1234_5678
    static let request = TLBytes { writer in
        writer.word(call)
        writer.word(1)
    }

    static func answers(_ events: [SessionEvent]) -> [CallID] {
        events.compactMap { if case .answer(let call, .success) = $0 { call } else { nil } }
    }

    @Test func `A key is created and reported, and waiting calls are sent`() throws {
        var server = Server()
        try server.engine.call(1, Self.request)
        try server.connect()
        let events = try server.talk()
        #expect(Self.answers(events) == [1])
        let told = events.compactMap { if case .connection(.key(let key)) = $0 { key } else { nil } }
        #expect(told == server.keys && told.count == 1)
    }

    @Test func `A temporary key is bound before the first call and replaced before it expires`()
        throws
    {
        var server = Server { $0.usesTemporaryKeys = true }
        try server.engine.call(1, Self.request)
        try server.connect()
        #expect(Self.answers(try server.talk()) == [1])
        #expect(server.keys.count == 2)
        #expect(server.bound == [server.keys[1].id])
        // A day later, while a call waits for its answer.
        try server.engine.call(2, Self.request)
        try server.engine.flush(at: server.now)
        _ = server.engine.takeUnsent()
        server.now.steady += Double(Engine.temporarySeconds) - Engine.replacedBeforeSeconds
        server.now.wall += Double(Engine.temporarySeconds) - Engine.replacedBeforeSeconds
        #expect(server.engine.deadline <= server.now.steady)
        #expect(throws: MTProtoError.self) { try server.engine.tick(at: server.now) }
        server.engine.disconnected()
        try server.connect()
        #expect(Self.answers(try server.talk()) == [2])
        #expect(server.keys.count == 3)
        #expect(server.bound.last == server.keys[2].id)
        #expect(server.calls == [Self.request, Self.request])
    }

    @Test func `A call in flight is repeated on the next connection under the same key`() throws {
        var server = Server()
        try server.connect()
        _ = try server.talk()
        try server.engine.call(1, Self.request)
        try server.engine.flush(at: server.now)
        server.engine.disconnected()
        try server.engine.call(2, Self.request)
        try server.connect()
        #expect(Self.answers(try server.talk()).sorted() == [1, 2])
        #expect(server.keys.count == 1)
    }

    @Test func `A server that stops answering the key exchange is given up`() throws {
        var server = Server()
        try server.connect()
        #expect(server.engine.deadline <= server.now.steady + 20)
        server.now.steady += 21
        #expect(#expect(throws: MTProtoError.self) { try server.engine.tick(at: server.now) }?.code == .timedOut)
    }

    @Test func `Calls over the queue's limit or Telegram's size limit are refused`() throws {
        var server = Server { ($0.maxCalls, $0.maxCallBytes) = (3, 100) }
        for call in 1...3 { try server.engine.call(CallID(call), Self.request) }
        #expect(throws: MTProtoError.self) { try server.engine.call(4, Self.request) }
        server.engine.cancel(1)
        #expect(throws: MTProtoError.self) { try server.engine.call(4, [UInt8](repeating: 0, count: 96)) }
        #expect(throws: MTProtoError.self) { try server.engine.call(4, [1, 2, 3]) }
        #expect(throws: MTProtoError.self) { try server.engine.call(4, []) }
        try server.engine.call(4, Self.request)
        try server.connect()
        #expect(Self.answers(try server.talk()).sorted() == [2, 3, 4])
        // Answered calls do not count towards the limits.
        for call in 5...7 { try server.engine.call(CallID(call), Self.request) }
    }
}
