import TL

extension Session {
    /// At most so much in one container; what is longer goes alone.
    static let containerBytes = 256 << 10
    static let containerMessages = 100
    static let ackDelay = 0.5
    /// So many are acknowledged at once, without a delay.
    static let manyAcks = 64
    /// Messages that nobody has acknowledged for so many seconds are asked about.
    static let confirmationDelay = 10.0

    /// The packets to send now.
    mutating func flush(at now: Moment) -> [EncryptedMessage.Sealed] {
        queueAcks(at: now)
        var packets: [EncryptedMessage.Sealed] = []
        var batch: [Outgoing] = []
        var bytes = 0
        for message in takeReady(at: now) {
            if !batch.isEmpty
                && (bytes + message.body.count > Session.containerBytes || batch.count >= Session.containerMessages)
            {
                packets.append(pack(&batch, at: now))
                bytes = 0
            }
            bytes += message.body.count
            batch.append(message)
        }
        if !batch.isEmpty { packets.append(pack(&batch, at: now)) }
        return packets
    }

    private mutating func queueAcks(at now: Moment) {
        let isDue = now.steady >= acksDueAt || acks.count >= Session.manyAcks
        guard !acks.isEmpty, isDue || !queue.isEmpty || !repeats.isEmpty else { return }
        let ids = acks.prefix(ServiceMessage.mostIDs)
        queue.insert(Outgoing(.notice, ServiceMessage.list(ServiceID.ack, ids)), at: 0)
        acks.removeFirst(ids.count)
        acksDueAt = acks.isEmpty ? .infinity : now.steady
    }

    /// Those with ids first, then the others, which get theirs here. While the key is not bound, no call is sent.
    private mutating func takeReady(at now: Moment) -> [Outgoing] {
        var ready = repeats.compactMap { sent.waiting[$0] }.filter { isBound || $0.purpose == .binding }
        received.sentAgain(ready.count)
        if isBound { repeats = [] } else { repeats.removeAll { id in ready.contains { $0.id == id } } }
        // A container holds each message once.
        var held: [Outgoing] = []
        for var message in queue {
            if case .call = message.purpose, !isBound {
                held.append(message)
                continue
            }
            prepare(&message, at: now)
            ready.append(message)
        }
        queue = held
        return ready
    }

    /// Gives a message its id, its number and its final form.
    private mutating func prepare(_ message: inout Outgoing, at now: Moment) {
        message.id = clock.nextMessageID(at: now)
        message.sequence = count * 2 + (message.isContent ? 1 : 0)
        (message.sentAt, message.isAcknowledged, message.isInitializing) = (0, false, false)
        if message.isContent { count += 1 }
        switch message.purpose {
        case .call:
            message.isInitializing = !isInitialized
            message.body = Gzip.packed(isInitialized ? message.request : settings.initialization + message.request)
        case .binding: message.body = bindingRequest(messageID: message.id)
        case .service, .notice: message.body = message.request
        }
        sent.insert(message)
    }

    /// Seals a batch: one message by itself, several, or one that was sent before, in a container.
    private mutating func pack(_ batch: inout [Outgoing], at now: Moment) -> EncryptedMessage.Sealed {
        defer { batch = [] }
        let ids = batch.map(\.id)
        for id in ids { sent.update(id) { $0.sentAt = now.steady } }
        let salt = salts.salt(at: clock.time(at: now))
        let isRepeated = batch[0].sentAt > 0
        var message = EncryptedMessage(
            salt: salt, sessionID: id, id: batch[0].id, sequence: batch[0].sequence, body: batch[0].body[...])
        if batch.count > 1 || isRepeated {
            message.id = clock.nextMessageID(at: now)
            message.sequence = count * 2
            message.body = Session.container(batch)[...]
            sent.insertContainer(message.id, ids)
        }
        let sealed = message.sealed(key, random)
        if settings.wantsQuickAcks && quickAcks.count < 1000 { quickAcks[sealed.quickAckToken] = ids }
        return sealed
    }

    private static func container(_ messages: [Outgoing]) -> [UInt8] {
        var writer = TLWriter(reserving: messages.reduce(8) { $0 + 16 + $1.body.count })
        writer.word(ServiceID.container)
        writer.int(Int32(messages.count))
        for message in messages {
            writer.long(message.id)
            writer.int(message.sequence)
            writer.int(Int32(message.body.count))
            writer.raw(message.body)
        }
        return writer.bytes
    }

    /// Does what is due by now: pings, acknowledgements, questions about messages.
    ///
    /// - Throws: `MTProtoError`, `disconnected`, when the server does not answer any more.
    mutating func tick(at now: Moment) throws(MTProtoError) {
        guard !liveness.isGone(at: now.steady) else {
            throw MTProtoError(.disconnected, "the server does not answer any more")
        }
        if liveness.wantsPing(at: now.steady, isWaiting: hasUnacknowledged) {
            liveness.asked(at: now.steady)
            send(.service, ServiceMessage.ping(random.long(), disconnectDelay: Liveness.disconnectDelay))
        }
        if clock.isKnown, salts.wantsMore(at: clock.time(at: now)) {
            send(.service, ServiceMessage.getFutureSalts(32))
        }
        askAboutMessages(at: now)
    }

    /// Says something on a new connection, if there is nothing else to say.
    mutating func greet(at now: Moment) {
        guard queue.isEmpty && repeats.isEmpty else { return }
        liveness.asked(at: now.steady)
        send(.service, ServiceMessage.ping(random.long(), disconnectDelay: Liveness.disconnectDelay))
    }

    private mutating func askAboutMessages(at now: Moment) {
        guard now.steady >= liveness.askedAboutMessages + Session.confirmationDelay else { return }
        liveness.askedAboutMessages = now.steady
        let silent = sent.waiting.values.filter {
            $0.isContent && !$0.isAcknowledged && $0.sentAt > 0
                && now.steady >= $0.sentAt + Session.confirmationDelay
        }
        guard !silent.isEmpty else { return }
        send(.service, ServiceMessage.list(ServiceID.stateRequest, silent.map(\.id).sorted().prefix(1000)))
    }

    private var hasUnacknowledged: Bool { sent.waiting.values.contains { !$0.isAcknowledged } }

    /// When `tick` and `flush` have something to do, by the steady clock.
    var deadline: Double {
        let isWaiting = hasUnacknowledged
        let question = isWaiting ? liveness.askedAboutMessages + Session.confirmationDelay : .infinity
        return min(acksDueAt, liveness.deadline(isWaiting: isWaiting), question)
    }
}
