/// A conversation with one server under one key: a state machine from packets to events, and from calls to packets.
///
/// It outlives connections: what was not answered on one is sent again on the next, under the same id, so that the server carries
/// it out once. Source: https://core.telegram.org/mtproto/service_messages, …/service_messages_about_messages
struct Session {
    struct Settings {
        /// What goes before the first calls: `invokeWithLayer` and `initConnection`, up to where the call begins.
        var initialization: [UInt8] = []
        /// The permanent key to which the session's key is bound first, and until when, in seconds since 1970.
        var binding: Binding?
        var wantsQuickAcks = false
    }

    struct Binding {
        let permanent: AuthKey
        let expiresAt: Int32
    }

    let key: AuthKey
    let settings: Settings
    let random: RandomSource
    var id: Int64
    /// Of which messages may still come.
    var previousID: Int64?
    var clock: ServerClock
    var salts: Salts
    var received = ReceivedMessages()
    var sent = SentMessages()
    /// Sent next, with new ids.
    var queue: [Outgoing] = []
    /// Sent once more with the ids that they have.
    var repeats: [Int64] = []
    /// To be acknowledged.
    var acks: [Int64] = []
    var acksDueAt = Double.infinity
    /// Content messages so far.
    var count: Int32 = 0
    var isInitialized: Bool
    var isBound: Bool
    var serverSession: Int64?
    var quickAcks: [UInt32: [Int64]] = [:]
    var liveness: Liveness

    init(
        _ key: AuthKey, salt: Int64, clock: ServerClock, _ settings: Settings, at now: Moment, random: RandomSource
    ) {
        (self.key, self.settings, self.clock, self.random) = (key, settings, clock, random)
        id = random.long()
        salts = Salts(salt)
        isInitialized = settings.initialization.isEmpty
        isBound = settings.binding == nil
        liveness = Liveness(at: now.steady)
        if !isBound { queue.append(Outgoing(.binding, [])) }
    }

    /// Calls a method; the answer is an event.
    mutating func call(_ call: CallID, _ request: [UInt8]) { queue.append(Outgoing(.call(call), request)) }

    /// Forgets a call; the server need not answer it.
    mutating func cancel(_ call: CallID) {
        queue.removeAll { $0.purpose == .call(call) }
        guard let (id, _) = sent.waiting.first(where: { $0.value.purpose == .call(call) }) else { return }
        _ = sent.remove(id)
        repeats.removeAll { $0 == id }
        send(.service, ServiceMessage.about(ServiceID.dropAnswer, id))
    }

    /// Puts a message of the protocol itself on its way.
    mutating func send(_ purpose: Outgoing.Purpose, _ body: [UInt8]) { queue.append(Outgoing(purpose, body)) }

    /// A connection ended: on the next one, all that has no answer is sent again.
    mutating func connected(at now: Moment) {
        received.connectionEnded()
        quickAcks = [:]
        // Neither answers nor duplicates of them matter any more.
        for (id, message) in sent.waiting where message.purpose == .service { _ = sent.remove(id) }
        queue.removeAll { $0.purpose == .service }
        repeats = sent.waitingIDs
        liveness = Liveness(at: now.steady)
    }

    /// Begins anew, because the server does not follow: what has no answer is sent again, with new ids.
    mutating func startOver() {
        previousID = id
        id = random.long()
        (count, isInitialized, acks, acksDueAt) = (0, settings.initialization.isEmpty, [], .infinity)
        received = ReceivedMessages()
        repeats = []
        clock.startOver()
        queue = sent.removeAll().filter { $0.purpose != .service } + queue
        if let previousID { send(.notice, ServiceMessage.about(ServiceID.destroySession, previousID)) }
    }

    /// All calls without an answer, for a session that takes the place of this one.
    mutating func takeCalls() -> [(CallID, [UInt8])] {
        (sent.removeAll() + queue).compactMap { message in
            if case .call(let call) = message.purpose { (call, message.request) } else { nil }
        }
    }

    /// Sends messages again with new ids, for the server has not taken them.
    mutating func requeue(_ ids: [Int64]) {
        let messages = ids.compactMap { sent.remove($0) }
        repeats.removeAll { ids.contains($0) }
        queue = messages + queue
    }
}
