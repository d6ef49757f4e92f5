import TL

extension Session {
    /// `rpc_result`: what a call came to.
    mutating func takeResult(_ body: ArraySlice<UInt8>, _ events: inout [SessionEvent]) throws(MTProtoError) {
        let (request, packed) = try reading("a result", body) { (reader) throws(TLError) in
            _ = try reader.word()
            let request = try reader.long()
            return (request, try reader.raw(reader.rest.count))
        }
        // Results of calls that nobody waits for any more are dropped before anything is made of them.
        guard let message = sent.remove(request) else { return }
        repeats.removeAll { $0 == request }
        let result = TLReader(packed).next == Gzip.id ? try Gzip.unpacked(packed)[...] : packed
        let error = TLReader(result).next == ServiceID.error ? try Session.error(result) : nil
        switch message.purpose {
        case .call(let call): finish(call, message, error.map { .failure($0) } ?? .success(result), &events)
        case .binding:
            isBound = error == nil
            events.append(.bound(error))
        case .service, .notice: break
        }
    }

    private mutating func finish(
        _ call: CallID, _ message: Outgoing, _ result: Result<ArraySlice<UInt8>, TelegramRPCError>,
        _ events: inout [SessionEvent]
    ) {
        if case .failure(let error) = result, !message.isInitializing, error.name == "CONNECTION_NOT_INITED" {
            // The server forgot what it was told about this side.
            isInitialized = settings.initialization.isEmpty
            if !isInitialized { return queue.append(Outgoing(.call(call), message.request)) }
        }
        if message.isInitializing, (try? result.get()) != nil { isInitialized = true }
        events.append(.answer(call, result.map { Array($0) }))
    }

    private static func error(_ body: ArraySlice<UInt8>) throws(MTProtoError) -> TelegramRPCError {
        try reading("an error", body) { (reader) throws(TLError) in
            try reader.expect(ServiceID.error)
            return TelegramRPCError(code: Int(try reader.int()), text: try reader.string())
        }
    }

    /// What the server says of messages, or wants to know of them.
    mutating func takeInformation(_ message: Incoming, at now: Moment) throws(MTProtoError) {
        let body = message.body
        switch TLReader(body).next {
        case ServiceID.stateRequest:
            let states = try Session.list(body).prefix(ServiceMessage.mostIDs).map { received.state(of: $0) }
            send(.notice, ServiceMessage.stateInfo(of: message.id, states))
        case ServiceID.resendRequest, ServiceID.resendAnswers: sendAgain(try Session.list(body), message.id)
        case ServiceID.stateInfo: try takeStates(body)
        case ServiceID.allInfo:
            let (ids, states) = try reading("states of messages", body) { (reader) throws(TLError) in
                _ = try reader.word()
                return (try reader.longs(), try reader.bytes())
            }
            apply(states, to: ids)
        default: try takeAnnouncement(body, at: now)
        }
    }

    private mutating func sendAgain(_ ids: [Int64], _ request: Int64) {
        let known = ids.flatMap { sent.contents(of: $0) }.filter { sent.waiting[$0] != nil }
        for id in known where !repeats.contains(id) { repeats.append(id) }
        if known.count < ids.count {
            // Of the others it shall know that they will not come.
            let states = [UInt8](repeating: 1, count: min(ids.count, ServiceMessage.mostIDs))
            send(.notice, ServiceMessage.stateInfo(of: request, states))
        }
    }

    private mutating func takeStates(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        let (request, states) = try reading("states of messages", body) { (reader) throws(TLError) in
            _ = try reader.word()
            return (try reader.long(), try reader.bytes())
        }
        guard let question = sent.remove(request) else { return }
        guard question.purpose == .service else { return sent.insert(question) }
        apply(states, to: try Session.list(question.request[...]))
    }

    /// Of each message one byte, whose lowest three bits say whether the server has it.
    private mutating func apply(_ states: ArraySlice<UInt8>, to ids: [Int64]) {
        for (id, state) in zip(ids, states) where sent.waiting[id] != nil {
            switch state & 7 {
            case 4: sent.update(id) { $0.isAcknowledged = true }
            case 2, 3: if !repeats.contains(id) { repeats.append(id) }
            // So old that the server would not take it under this id.
            case 1: requeue([id])
            default: break
            }
        }
    }

    /// `msg_detailed_info`: an answer that is only announced, for it is long, or was sent before.
    private mutating func takeAnnouncement(_ body: ArraySlice<UInt8>, at now: Moment) throws(MTProtoError) {
        let answer = try reading("an announcement", body) { (reader) throws(TLError) in
            if try reader.word() == ServiceID.detailedInfo { _ = try reader.long() }
            let answer = try reader.long()
            _ = (try reader.int(), try reader.int())
            return answer
        }
        if received.contains(answer) {
            acks.append(answer)
            acksDueAt = min(acksDueAt, now.steady + Session.ackDelay)
        } else {
            received.askFor(answer)
            send(.notice, ServiceMessage.list(ServiceID.resendRequest, [answer]))
        }
    }
}
