import TL

extension Session {
    /// A message that was refused so often will never be taken.
    static let mostRefusals = 8

    /// Acts on a message by its constructor; what is none of the protocol's own is an update.
    mutating func understand(
        _ message: Incoming, _ events: inout [SessionEvent], at now: Moment
    ) throws(MTProtoError) {
        let body = message.body
        switch TLReader(body).next {
        case ServiceID.result: try takeResult(body, &events)
        case Gzip.id:
            guard !message.isUnpacked else { throw .broken("a message that is packed twice") }
            var unpacked = message
            unpacked.body = try Gzip.unpacked(body)[...]
            unpacked.isUnpacked = true
            guard TLReader(unpacked.body).next != ServiceID.container else { throw .broken("a packed container") }
            try understand(unpacked, &events, at: now)
        case ServiceID.badMessage, ServiceID.badSalt: try takeRefusal(BadMessage(body), message, &events, at: now)
        case ServiceID.newSession: try takeNewSession(body, &events)
        case ServiceID.ack:
            for id in try Session.list(body) { sent.update(id) { $0.isAcknowledged = true } }
        case ServiceID.pong, ServiceID.futureSalts: try takeAnswer(body)
        case ServiceID.stateRequest, ServiceID.stateInfo, ServiceID.allInfo, ServiceID.detailedInfo,
            ServiceID.newDetailedInfo, ServiceID.resendRequest, ServiceID.resendAnswers:
            try takeInformation(message, at: now)
        case ServiceID.sessionDestroyed, ServiceID.noSession: break
        case ServiceID.container: throw .broken("a container in another message")
        default: events.append(.update(Array(body)))
        }
    }

    static func list(_ body: ArraySlice<UInt8>) throws(MTProtoError) -> [Int64] {
        try reading("a list of messages", body) { (reader) throws(TLError) in
            _ = try reader.word()
            return try reader.longs()
        }
    }

    private mutating func takeRefusal(
        _ refusal: BadMessage, _ message: Incoming, _ events: inout [SessionEvent], at now: Moment
    ) throws(MTProtoError) {
        let ids = sent.contents(of: refusal.id)
        for id in ids { sent.update(id) { $0.refusals += 1 } }
        guard ids.allSatisfy({ sent[$0]?.refusals ?? 0 <= Session.mostRefusals }) else {
            throw .broken("it refuses a message again and again (\(refusal.code))")
        }
        if let salt = refusal.salt {
            salts.replace(salt)
            events.append(.salt(salt))
            return requeue(ids)
        }
        // What is long done needs no reaction.
        guard !ids.isEmpty else { return }
        if refusal.isAboutTime { clock.set(ServerClock.time(of: message.id), at: now) }
        switch refusal.code {
        case 16, 20: requeue(ids)
        // For 17, ids must go back in time, which they may in a new session only.
        default: startOver()
        }
    }

    private mutating func takeNewSession(
        _ body: ArraySlice<UInt8>, _ events: inout [SessionEvent]
    ) throws(MTProtoError) {
        let (first, unique, salt) = try reading("new_session_created", body) { (reader) throws(TLError) in
            _ = try reader.word()
            return (try reader.long(), try reader.long(), try reader.long())
        }
        guard serverSession != unique else { return }
        serverSession = unique
        if salt != salts.current {
            salts.replace(salt)
            events.append(.salt(salt))
        }
        // The server knows nothing of what was before.
        requeue(sent.waitingIDs.filter { $0 < first })
        events.append(.created)
    }

    /// `pong` and `future_salts`: what was asked is answered.
    private mutating func takeAnswer(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        let (request, announced) = try reading("an answer", body) { (reader) throws(TLError) in
            let kind = try reader.word()
            let request = try reader.long()
            guard kind == ServiceID.futureSalts else {
                _ = try reader.long()
                return (request, [Salts.Future]())
            }
            _ = try reader.int()
            var announced: [Salts.Future] = []
            for _ in 0..<(try reader.count(elementBytes: 16)) {
                let (since, until, salt) = (try reader.int(), try reader.int(), try reader.long())
                announced.append(Salts.Future(since: since, until: until, salt: salt))
            }
            return (request, announced)
        }
        // Answers to nothing are taken for nothing.
        guard sent.remove(request) != nil else { return }
        if !announced.isEmpty { salts.add(announced) }
    }
}
