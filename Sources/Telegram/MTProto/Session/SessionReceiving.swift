import TL

extension Session {
    /// Seconds by which a message may be older, and newer, than the server's time is known to be.
    static let oldest = 300.0
    static let newest = 30.0
    static let mostInContainer = 1024

    /// Takes a packet.
    ///
    /// - Throws: `MTProtoError`, `protocolBroken`: nothing of the packet is believed then, and nothing may follow.
    mutating func receive(_ packet: [UInt8], at now: Moment) throws(MTProtoError) -> [SessionEvent] {
        let message = try EncryptedMessage(opening: packet, key)
        guard message.sessionID == id else {
            // What was on its way when the session was replaced.
            guard message.sessionID != previousID else { return [] }
            throw .broken("a message of another session")
        }
        guard message.id & 1 == 1 else { throw .broken("a message with an id that only a client makes") }
        try checkTime(of: message, at: now)
        liveness.heard(at: now.steady)
        var events: [SessionEvent] = []
        try take(Incoming(id: message.id, sequence: message.sequence, body: message.body), &events, at: now)
        return events
    }

    /// The server has a packet.
    mutating func receiveQuickAck(_ token: UInt32, at now: Moment) {
        for id in quickAcks.removeValue(forKey: token) ?? [] { sent.update(id) { $0.isAcknowledged = true } }
    }

    struct Incoming {
        let id: Int64
        let sequence: Int32
        var body: ArraySlice<UInt8>
        var isAlone = true
        var isUnpacked = false
    }

    /// What is older than five minutes, or from the future, may have been recorded, or forged with a stolen clock.
    private mutating func checkTime(of message: EncryptedMessage, at now: Moment) throws(MTProtoError) {
        let time = ServerClock.time(of: message.id)
        guard clock.isKnown else {
            // The session's id was made a moment ago: nobody can have recorded anything with it.
            clock.set(time, at: now)
            return
        }
        let age = clock.time(at: now) - time
        if age <= Session.oldest && age >= -Session.newest { return }
        // The server may say, of a message of this very session, that the clock is wrong.
        guard let notice = try? BadMessage(message.body), notice.isAboutTime, sent.contains(notice.id),
            !received.contains(message.id)
        else { throw .broken(age > 0 ? "a message from long ago" : "a message from the future") }
    }

    mutating func take(
        _ message: Incoming, _ events: inout [SessionEvent], at now: Moment
    ) throws(MTProtoError) {
        let kind = TLReader(message.body).next
        if kind == ServiceID.container {
            guard message.isAlone else { throw .broken("a container in a container") }
            let verdict = received.insert(message.id, isAlone: true)
            guard verdict != .replayed else { throw .broken("a message that came before") }
            guard verdict == .new else { return }
            for inner in try Session.contents(of: message) { try take(inner, &events, at: now) }
            return
        }
        let verdict = received.insert(message.id, isAlone: message.isAlone)
        guard verdict != .replayed else { throw .broken("a message that came before") }
        if message.sequence & 1 == 1 { acknowledge(message.id, at: now) }
        guard verdict == .new else { return }
        try understand(message, &events, at: now)
    }

    private mutating func acknowledge(_ id: Int64, at now: Moment) {
        acks.append(id)
        acksDueAt = min(acksDueAt, now.steady + Session.ackDelay)
    }

    private static func contents(of container: Incoming) throws(MTProtoError) -> [Incoming] {
        try reading("a container", container.body) { (reader) throws(TLError) in
            try reader.expect(ServiceID.container)
            let count = try reader.count(elementBytes: 20)
            guard count <= mostInContainer else { throw TLError(.oversized, "too many messages", offset: 4) }
            var messages: [Incoming] = []
            for _ in 0..<count {
                let (id, sequence, length) = (try reader.long(), try reader.int(), Int(try reader.int()))
                let body = try reader.raw(length)
                guard id & 1 == 1, length >= 4, length % 4 == 0 else {
                    throw TLError(.oversized, "a message that is none", offset: reader.offset)
                }
                messages.append(Incoming(id: id, sequence: sequence, body: body, isAlone: false))
            }
            return messages
        }
    }
}

/// `bad_msg_notification` and `bad_server_salt`.
struct BadMessage {
    let id: Int64
    let code: Int32
    /// The salt to use from now on.
    let salt: Int64?

    init(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        self = try reading("a refusal", body) { (reader) throws(TLError) in
            let hasSalt = reader.next == ServiceID.badSalt
            try reader.expect(hasSalt ? ServiceID.badSalt : ServiceID.badMessage)
            let id = try reader.long()
            _ = try reader.int()
            return BadMessage(id: id, code: try reader.int(), salt: hasSalt ? try reader.long() : nil)
        }
    }

    private init(id: Int64, code: Int32, salt: Int64?) { (self.id, self.code, self.salt) = (id, code, salt) }

    var isAboutTime: Bool { code == 16 || code == 17 }
}
