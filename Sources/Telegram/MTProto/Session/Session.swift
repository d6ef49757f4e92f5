import TL

/// Holds the conversation with one server under one key. It is a state machine that turns packets into events, and
/// calls into packets.
///
/// A session outlives connections: calls without an answer are sent again on the next connection with the same ids, so that the
/// server executes each call once.
/// Source: https://core.telegram.org/mtproto/service_messages, …/service_messages_about_messages
struct Session {
    struct Settings {
        /// The bytes that precede the first calls: `invokeWithLayer` and `initConnection`, up to where the call begins.
        var initialization: [UInt8] = []
        /// The permanent key to which the session's key must be bound first.
        var binding: Binding?
        var wantsQuickAcks = false
    }

    struct Binding {
        let permanent: AuthKey
        /// The end of the temporary key's life, in seconds since 1970.
        let expiresAt: Int32
    }

    /// Limits of one container; a longer message is sent alone.
    private static let maxContainerBytes = 256 << 10
    private static let maxContainerMessages = 100
    private static let ackDelaySeconds = 0.5
    /// The number of acknowledgements that are sent at once, without waiting for the delay to end.
    private static let maxDelayedAcks = 64
    /// The seconds after which the session asks the server about an unacknowledged message.
    private static let confirmationDelaySeconds = 10.0
    /// The seconds by which a message may be older, or newer, than the server's time.
    private static let maxAgeSeconds = 300.0
    private static let maxFutureSeconds = 30.0
    /// The most refusals of one message; after more, the server counts as violating the protocol.
    private static let maxRefusals = 8
    private static let maxQuickAcks = 1000

    let settings: Settings
    private(set) var id: Int64
    private(set) var clock: ServerClock
    private(set) var bindingState: BindingState
    private let key: AuthKey
    private let random: RandomSource
    /// The previous session's id; its messages may still arrive.
    private var previousID: Int64?
    private var salts: Salts
    private var received = ReceivedMessages()
    private var outbox = Outbox()
    /// The ids of the server's messages that this side has still to acknowledge.
    private var acks: [Int64] = []
    private var acksDueAt = Double.infinity
    /// The number of content messages sent in this session.
    private var contentCount: Int32 = 0
    /// Is true if the server knows who this side is, so that calls need no `initConnection` before them.
    private var isInitialized: Bool
    private var serverSession: Int64?
    /// The messages of packets for which the server sends a quick acknowledgement, by its token.
    private var quickAcks: [UInt32: [Int64]] = [:]
    private var liveness: Liveness

    enum BindingState: Equatable {
        /// The key is permanent, or bound to a permanent one.
        case done
        case pending
        case refused(TelegramRPCError)
    }

    init(
        _ key: AuthKey, salt: Int64, clock: ServerClock, _ settings: Settings, at now: Moment, random: RandomSource
    ) {
        (self.key, self.settings, self.clock, self.random) = (key, settings, clock, random)
        id = random.long()
        salts = Salts(salt)
        isInitialized = settings.initialization.isEmpty
        bindingState = settings.binding == nil ? .done : .pending
        liveness = Liveness(at: now.steady)
        if settings.binding != nil { outbox.append(.binding, []) }
    }

    // MARK: Calls

    /// Calls a method; an event brings the answer.
    mutating func call(_ call: CallID, _ request: [UInt8]) { outbox.append(.call(call), request) }

    /// Drops a call; the server is told that it need not answer.
    mutating func cancel(_ call: CallID) {
        guard let id = outbox.remove(call) else { return }
        outbox.append(.service, ServiceMessage.about(ServiceID.dropAnswer, id))
    }

    /// Takes all calls without an answer, for the session that replaces this one.
    mutating func takeCalls() -> [(CallID, [UInt8])] { outbox.takeCalls() }

    // MARK: Connections

    /// Continues on a new connection: all messages without an answer are sent again.
    mutating func connected(at now: Moment) {
        received.connectionEnded()
        quickAcks = [:]
        outbox.sendAgainOnNewConnection()
        liveness = Liveness(at: now.steady)
    }

    /// Sends a ping on a new connection when there is nothing else to send: the server's answer shows that it knows the key.
    mutating func greet(at now: Moment) {
        guard outbox.isIdle else { return }
        ping(at: now)
    }

    /// Begins a new session, because the server cannot follow this one; all messages without an answer are sent again with new ids.
    private mutating func startOver() {
        let old = id
        (previousID, id) = (old, random.long())
        (contentCount, isInitialized, acks, acksDueAt) = (0, settings.initialization.isEmpty, [], .infinity)
        received = ReceivedMessages()
        clock.startOver()
        outbox.sendAgainInNewSession()
        liveness.lostPing()
        outbox.append(.notice, ServiceMessage.about(ServiceID.destroySession, old))
    }

    // MARK: Timers

    /// The next time, by the steady clock, when `tick` and `flush` have something to do.
    var deadline: Double {
        let isWaiting = outbox.hasUnacknowledged
        let question = isWaiting ? liveness.askedAboutMessages + Session.confirmationDelaySeconds : .infinity
        return min(acksDueAt, liveness.deadline(isWaiting: isWaiting), question)
    }

    /// Queues what is due: pings, requests for salts, questions about messages.
    ///
    /// - Throws: `MTProtoError`, `disconnected`, when the server does not answer any more.
    mutating func tick(at now: Moment) throws(MTProtoError) {
        guard !liveness.isGone(at: now.steady) else {
            throw MTProtoError(.disconnected, "the server no longer answers")
        }
        if liveness.wantsPing(at: now.steady, isWaiting: outbox.hasUnacknowledged) { ping(at: now) }
        if clock.isKnown, salts.wantsMore(at: clock.time(at: now)) {
            outbox.append(.service, ServiceMessage.getFutureSalts(32))
        }
        guard now.steady >= liveness.askedAboutMessages + Session.confirmationDelaySeconds else { return }
        liveness.askedAboutMessages = now.steady
        let silent = outbox.unacknowledged(since: now.steady - Session.confirmationDelaySeconds)
        if !silent.isEmpty {
            outbox.append(.service, ServiceMessage.list(ServiceID.stateRequest, silent.prefix(1000)))
        }
    }

    private mutating func ping(at now: Moment) {
        liveness.asked(at: now.steady)
        outbox.append(.service, ServiceMessage.ping(random.long(), disconnectDelay: Liveness.disconnectDelay))
    }

    // MARK: Sending

    /// Returns the packets to send now.
    mutating func flush(at now: Moment) -> [EncryptedMessage.Sealed] {
        queueAcks(at: now)
        var packets: [EncryptedMessage.Sealed] = []
        var batch: [Outgoing] = []
        var bytes = 0
        for message in takeReady(at: now) {
            let isFull =
                bytes + message.body.count > Session.maxContainerBytes || batch.count >= Session.maxContainerMessages
            if !batch.isEmpty && isFull {
                packets.append(seal(batch, at: now))
                (batch, bytes) = ([], 0)
            }
            bytes += message.body.count
            batch.append(message)
        }
        if !batch.isEmpty { packets.append(seal(batch, at: now)) }
        return packets
    }

    private mutating func queueAcks(at now: Moment) {
        let isDue = now.steady >= acksDueAt || acks.count >= Session.maxDelayedAcks
        guard !acks.isEmpty, isDue || !outbox.isIdle else { return }
        let ids = acks.prefix(ServiceMessage.maxIDs)
        outbox.insertFirst(.notice, ServiceMessage.list(ServiceID.ack, ids))
        acks.removeFirst(ids.count)
        acksDueAt = acks.isEmpty ? .infinity : now.steady
    }

    private mutating func takeReady(at now: Moment) -> [Outgoing] {
        let (repeated, new) = outbox.take(isBound: bindingState == .done)
        received.sentAgain(repeated.count)
        return repeated + new.map { prepared($0, at: now) }
    }

    /// Gives a message its id, its sequence number and its final form.
    private mutating func prepared(_ message: Outgoing, at now: Moment) -> Outgoing {
        var message = message
        message.id = clock.nextMessageID(at: now)
        message.sequence = contentCount * 2 + (message.isContent ? 1 : 0)
        (message.sentAt, message.isAcknowledged, message.isInitializing) = (0, false, false)
        if message.isContent { contentCount += 1 }
        switch message.purpose {
        case .call:
            message.isInitializing = !isInitialized
            message.body = Gzip.packed(isInitialized ? message.request : settings.initialization + message.request)
        case .binding:
            message.body =
                settings.binding.map {
                    KeyBinding.request($0, of: key, sessionID: id, messageID: message.id, random)
                } ?? []
        case .service, .notice: message.body = message.request
        }
        outbox.insert(message)
        return message
    }

    /// Encrypts a batch: a single new message as it is; several messages, or one that was sent before, in a container.
    private mutating func seal(_ batch: [Outgoing], at now: Moment) -> EncryptedMessage.Sealed {
        let ids = batch.map(\.id)
        for id in ids { outbox.update(id) { $0.sentAt = now.steady } }
        let salt = salts.salt(at: clock.time(at: now))
        let isRepeated = batch[0].sentAt > 0
        var message = EncryptedMessage(
            salt: salt, sessionID: id, id: batch[0].id, sequence: batch[0].sequence, body: batch[0].body[...])
        if batch.count > 1 || isRepeated {
            message.id = clock.nextMessageID(at: now)
            message.sequence = contentCount * 2
            message.body = ServiceMessage.container(batch)[...]
            outbox.insertContainer(message.id, ids)
        }
        let sealed = message.sealed(key, random)
        if settings.wantsQuickAcks && quickAcks.count < Session.maxQuickAcks { quickAcks[sealed.quickAckToken] = ids }
        return sealed
    }

    // MARK: Receiving

    /// Handles a quick acknowledgement: the server has received the packet of this token.
    mutating func receiveQuickAck(_ token: UInt32, at now: Moment) {
        for id in quickAcks.removeValue(forKey: token) ?? [] { outbox.update(id) { $0.isAcknowledged = true } }
    }

    /// Handles a packet.
    ///
    /// - Throws: `MTProtoError`, `protocolBroken`: nothing of the packet may be used then, and the connection must end.
    mutating func receive(_ packet: ArraySlice<UInt8>, at now: Moment) throws(MTProtoError) -> [SessionEvent] {
        let message = try EncryptedMessage(opening: packet, key)
        guard message.sessionID == id else {
            // The message was on its way when this session replaced the previous one.
            guard message.sessionID != previousID else { return [] }
            throw .broken("it sent a message of another session")
        }
        guard message.id & 1 == 1 else { throw .broken("it sent a message with an id that only a client may use") }
        try checkTime(of: message, at: now)
        liveness.heard(at: now.steady)
        var events: [SessionEvent] = []
        try take(Incoming(id: message.id, sequence: message.sequence, body: message.body), &events, at: now)
        return events
    }

    /// Refuses messages older than five minutes or from the future: they may be recorded, or made with a wrong clock.
    private mutating func checkTime(of message: EncryptedMessage, at now: Moment) throws(MTProtoError) {
        let time = ServerClock.time(of: message.id)
        guard clock.isKnown else {
            // The session's id was made a moment ago, so no recorded message can have it.
            clock.set(time, at: now)
            return
        }
        let age = clock.time(at: now) - time
        if age <= Session.maxAgeSeconds && age >= -Session.maxFutureSeconds { return }
        // One exception: the server reports that this side's clock is wrong, about a message of this very session.
        guard let notice = try? BadMessage(message.body), notice.isAboutTime, outbox.contains(notice.id),
            !received.contains(message.id)
        else { throw .broken(age > 0 ? "it sent an old message" : "it sent a message from the future") }
    }

    private mutating func take(
        _ message: Incoming, _ events: inout [SessionEvent], at now: Moment
    ) throws(MTProtoError) {
        let isContainer = TLReader(message.body).next == ServiceID.container
        guard message.isAlone || !isContainer else { throw .broken("it sent a container in a container") }
        let verdict = received.insert(message.id, isAlone: message.isAlone)
        guard verdict != .replayed else { throw .broken("it repeated a message without a reason") }
        if message.sequence & 1 == 1, !isContainer { acknowledge(message.id, at: now.steady + Session.ackDelaySeconds) }
        guard verdict == .new else { return }
        guard isContainer else { return try handle(message, &events, at: now) }
        for inner in try message.contents() { try take(inner, &events, at: now) }
    }

    private mutating func acknowledge(_ id: Int64, at time: Double) {
        acks.append(id)
        acksDueAt = min(acksDueAt, time)
    }

    /// Acts on a message by its constructor; a message that is none of the protocol's own is an update.
    private mutating func handle(
        _ message: Incoming, _ events: inout [SessionEvent], at now: Moment
    ) throws(MTProtoError) {
        let body = message.body
        switch TLReader(body).next {
        case ServiceID.result: try takeResult(CallResult(body), &events)
        case Gzip.id:
            guard !message.isUnpacked else { throw .broken("it sent a message that is compressed twice") }
            var unpacked = message
            unpacked.body = try Gzip.unpacked(body)[...]
            unpacked.isUnpacked = true
            guard TLReader(unpacked.body).next != ServiceID.container else { throw .broken("it packed a container") }
            try handle(unpacked, &events, at: now)
        case ServiceID.badMessage, ServiceID.badSalt:
            try takeRefusal(BadMessage(body), by: message.id, &events, at: now)
        case ServiceID.newSession: takeNewSession(try NewServerSession(body), &events)
        case ServiceID.ack: for id in try message.ids() { outbox.update(id) { $0.isAcknowledged = true } }
        case ServiceID.pong, ServiceID.futureSalts: takeAnswer(try ServiceAnswer(body))
        case ServiceID.stateRequest:
            let states = try message.ids().prefix(ServiceMessage.maxIDs).map { received.state(of: $0) }
            outbox.append(.notice, ServiceMessage.stateInfo(of: message.id, states))
        case ServiceID.resendRequest, ServiceID.resendAnswers: sendAgain(try message.ids(), request: message.id)
        case ServiceID.stateInfo, ServiceID.allInfo: try takeStates(MessageStates(body))
        case ServiceID.detailedInfo, ServiceID.newDetailedInfo:
            takeAnnouncement(of: try AnswerAnnouncement(body).answer, at: now)
        case ServiceID.sessionDestroyed, ServiceID.noSession: break
        case ServiceID.container: throw .broken("it sent a container in another message")
        default: events.append(.connection(.update(Array(body))))
        }
    }

    private mutating func takeResult(_ result: CallResult, _ events: inout [SessionEvent]) throws(MTProtoError) {
        // The result of a dropped call is not even unpacked.
        guard let message = outbox.remove(result.request) else { return }
        let answer = try result.unpacked()
        switch message.purpose {
        case .call(let call): finish(call, message, answer, &events)
        case .binding:
            if case .failure(let error) = answer { bindingState = .refused(error) } else { bindingState = .done }
        case .service, .notice: break
        }
    }

    private mutating func finish(
        _ call: CallID, _ message: Outgoing, _ answer: Result<ArraySlice<UInt8>, TelegramRPCError>,
        _ events: inout [SessionEvent]
    ) {
        switch answer {
        case .failure(let error) where error.name == "CONNECTION_NOT_INITED" && !message.isInitializing:
            // The server has lost what `initConnection` told it about this side.
            isInitialized = settings.initialization.isEmpty
            if !isInitialized { return outbox.append(.call(call), message.request) }
        case .success where message.isInitializing: isInitialized = true
        default: break
        }
        events.append(.answer(call, answer.map { Array($0) }))
    }

    private mutating func takeRefusal(
        _ refusal: BadMessage, by notice: Int64, _ events: inout [SessionEvent], at now: Moment
    ) throws(MTProtoError) {
        let ids = outbox.contents(of: refusal.id)
        for id in ids { outbox.update(id) { $0.refusals += 1 } }
        guard ids.allSatisfy({ outbox[$0]?.refusals ?? 0 <= Session.maxRefusals }) else {
            throw .broken("it refused the same message too many times (\(refusal.code))")
        }
        if let salt = refusal.salt {
            replaceSalt(salt, &events)
            return outbox.requeue(ids)
        }
        // A message that was answered long ago needs no reaction.
        guard !ids.isEmpty else { return }
        if refusal.isAboutTime { clock.set(ServerClock.time(of: notice), at: now) }
        switch refusal.code {
        case 16, 20: outbox.requeue(ids)
        // Code 17 requires lower ids, which only a new session may use.
        default: startOver()
        }
    }

    private mutating func replaceSalt(_ salt: Int64, _ events: inout [SessionEvent]) {
        salts.replace(salt)
        events.append(.connection(.salt(salt)))
    }

    private mutating func takeNewSession(_ new: NewServerSession, _ events: inout [SessionEvent]) {
        guard serverSession != new.uniqueID else { return }
        serverSession = new.uniqueID
        if new.salt != salts.current { replaceSalt(new.salt, &events) }
        outbox.requeue(before: new.firstMessage)
        // The server has begun a new session, so updates may have been lost.
        events.append(.connection(.gap))
    }

    private mutating func takeAnswer(_ answer: ServiceAnswer) {
        // An answer without a question is ignored.
        guard outbox.remove(answer.request) != nil else { return }
        if !answer.salts.isEmpty { salts.add(answer.salts) }
    }

    /// Sends messages again because the server asked for them; reports to the server which of them are no longer
    /// available.
    private mutating func sendAgain(_ ids: [Int64], request: Int64) {
        let known = ids.flatMap { outbox.contents(of: $0) }.filter(outbox.isWaiting)
        outbox.sendAgain(known)
        if known.count < ids.count {
            let states = [UInt8](repeating: 1, count: min(ids.count, ServiceMessage.maxIDs))
            outbox.append(.notice, ServiceMessage.stateInfo(of: request, states))
        }
    }

    private mutating func takeStates(_ states: MessageStates) throws(MTProtoError) {
        if let ids = states.ids { return apply(states.states, to: ids) }
        guard let id = states.question, let question = outbox[id], question.purpose == .service else { return }
        _ = outbox.remove(id)
        apply(states.states, to: try Incoming.ids(question.request[...]))
    }

    private mutating func apply(_ states: ArraySlice<UInt8>, to ids: [Int64]) {
        for (id, state) in zip(ids, states) where outbox.isWaiting(id) {
            switch state & 7 {
            case 4: outbox.update(id) { $0.isAcknowledged = true }
            case 2, 3: outbox.sendAgain([id])
            // The id is so old that the server would not accept it any more.
            case 1: outbox.requeue([id])
            default: break
            }
        }
    }

    private mutating func takeAnnouncement(of answer: Int64, at now: Moment) {
        guard !received.contains(answer) else {
            return acknowledge(answer, at: now.steady + Session.ackDelaySeconds)
        }
        received.askFor(answer)
        outbox.append(.notice, ServiceMessage.list(ServiceID.resendRequest, [answer]))
    }
}

/// An event of a session, or of the engine that holds it.
enum SessionEvent {
    /// The answer to a call.
    case answer(CallID, Result<[UInt8], TelegramRPCError>)
    /// An event for the connection's owner, passed on unchanged.
    case connection(ConnectionEvent)
}
