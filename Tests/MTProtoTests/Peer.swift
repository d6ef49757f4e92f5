import System
import TL
import Testing

@testable import MTProto

/// A session and the server's side of it, without a connection between them.
struct Peer {
    static let key = AuthKey((0..<256).map { UInt8(truncatingIfNeeded: $0 * 31 + 7) })

    var session: Session
    let key: AuthKey
    var now = Moment(wall: 1_700_000_000, steady: 1000)
    var serverCount: Int32 = 0
    private var lastID: Int64 = 0

    /// - Parameter clockError: seconds by which the client's idea of the server's time is wrong.
    init(initialization: [UInt8] = [], clockError: Double = 0) throws {
        key = try #require(Peer.key)
        var clock = ServerClock()
        clock.set(now.wall + clockError, at: now)
        session = Session(
            key, salt: 5, clock: clock, Session.Settings(initialization: initialization), at: now, random: .system)
    }

    mutating func wait(_ seconds: Double) {
        now.wall += seconds
        now.steady += seconds
    }

    /// Returns a new message id of the server.
    mutating func nextID(secondsAgo: Double = 0) -> Int64 {
        let id = Int64((now.wall - secondsAgo) * 4_294_967_296) & ~3 | 1
        lastID = max(id, lastID + 4)
        return secondsAgo == 0 ? lastID : id
    }

    /// Delivers a message of the server, and returns the resulting events.
    mutating func deliver(
        _ body: [UInt8], id: Int64? = nil, isContent: Bool = true, sessionID: Int64? = nil
    ) throws -> [SessionEvent] {
        let message = EncryptedMessage(
            salt: 5, sessionID: sessionID ?? session.id, id: id ?? nextID(), sequence: isContent ? 1 : 0,
            body: body[...])
        return try session.receive(message.sealed(key, .system, as: .server).packet[...], at: now)
    }

    struct Received {
        let id: Int64
        let sequence: Int32
        let body: [UInt8]
        var constructor: UInt32? { TLReader(body).next }
    }

    /// Returns the client's messages to be sent now, unpacked from containers, after checking them as a server does.
    mutating func sent() throws -> [[Received]] {
        try session.flush(at: now).map { sealed in
            let message = try EncryptedMessage(opening: sealed.packet[...], key, from: .client)
            #expect(message.id % 4 == 0)
            var reader = TLReader(message.body)
            guard reader.next == ServiceID.container else {
                return [Received(id: message.id, sequence: message.sequence, body: Array(message.body))]
            }
            _ = try reader.word()
            return try (0..<(try reader.count())).map { _ in
                let (id, sequence) = (try reader.long(), try reader.int())
                #expect(id < message.id)
                #expect(sequence <= message.sequence)
                return Received(id: id, sequence: sequence, body: Array(try reader.raw(Int(try reader.int()))))
            }
        }
    }

    mutating func sentAtOnce() throws -> [Received] { try sent().flatMap { $0 } }

    static func result(of request: Int64, _ body: [UInt8]) -> [UInt8] {
        TLBytes { writer in
            writer.word(ServiceID.result)
            writer.long(request)
            writer.raw(body)
        }
    }

    static func container(_ messages: [(id: Int64, body: [UInt8])]) -> [UInt8] {
        TLBytes { writer in
            writer.word(ServiceID.container)
            writer.int(Int32(messages.count))
            for (id, body) in messages {
                writer.long(id)
                writer.int(1)
                writer.int(Int32(body.count))
                writer.raw(body)
            }
        }
    }

    static func refusal(of id: Int64, code: Int32, salt: Int64? = nil) -> [UInt8] {
        TLBytes { writer in
            writer.word(salt == nil ? ServiceID.badMessage : ServiceID.badSalt)
            writer.long(id)
            writer.int(1)
            writer.int(code)
            if let salt { writer.long(salt) }
        }
    }
}

extension [SessionEvent] {
    /// The answers by the numbers of their calls.
    var answers: [CallID: [UInt8]] {
        reduce(into: [:]) { if case .answer(let call, .success(let bytes)) = $1 { $0[call] = bytes } }
    }

    var updates: [[UInt8]] { compactMap { if case .connection(.update(let bytes)) = $0 { bytes } else { nil } } }
    var hasGap: Bool { contains { if case .connection(.gap) = $0 { true } else { false } } }
}
