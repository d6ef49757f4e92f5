/// Runs the protocol of a connection without its socket: first the proxy, then the key exchange, then the session. It
/// also keeps the state that outlives a connection. It is a state machine that turns bytes into bytes and events.
struct Engine {
    /// The life of a temporary key, and the time before its end at which it is replaced, both in seconds.
    static let temporarySeconds: Int32 = 86_400
    static let replacedBeforeSeconds = 300.0
    /// The number of temporary keys in a row that the server may lose before the engine gives up.
    private static let maxLostKeys = 3
    /// The longest request, in bytes. A part of a file has half a megabyte.
    private static let maxRequestBytes = 1 << 20

    private let settings: ConnectionSettings
    private let random: RandomSource
    private var permanent: AuthKey?
    private var session: Session?
    private var socks: Socks5?
    private var link: TransportLink?
    private var handshake: Handshake?
    private var clock = ServerClock()
    private var salt: Int64
    /// Calls that were made while there was no session.
    private var waiting: [(CallID, [UInt8])] = []
    private var calls: [CallID: Int] = [:]
    private var callBytes = 0
    private var lostKeys = 0
    private(set) var isReady = false
    /// Is true if an earlier connection was ready.
    private var wasReady = false
    private var readyBefore = 0.0
    private var unsent: [UInt8] = []
    private var events: [SessionEvent] = []

    init(_ settings: ConnectionSettings, random: RandomSource = .system) {
        (self.settings, self.random, permanent, salt) = (settings, random, settings.key, settings.salt)
    }

    /// Calls a method; an event brings the answer.
    ///
    /// - Throws: `MTProtoError`, `tooLarge`, when too many calls wait already, or the request is too long.
    mutating func call(_ call: CallID, _ request: [UInt8]) throws(MTProtoError) {
        guard calls.count < settings.maxCalls, callBytes + request.count <= settings.maxCallBytes else {
            throw MTProtoError(.tooLarge, "too many calls are waiting for Telegram")
        }
        guard request.count >= 4, request.count % 4 == 0, request.count <= Engine.maxRequestBytes else {
            throw MTProtoError(.tooLarge, "the request has \(request.count) bytes, more than Telegram accepts")
        }
        calls[call] = request.count
        callBytes += request.count
        if session == nil { waiting.append((call, request)) } else { session?.call(call, request) }
    }

    mutating func cancel(_ call: CallID) {
        waiting.removeAll { $0.0 == call }
        session?.cancel(call)
        forget(call)
    }

    private mutating func forget(_ call: CallID) { callBytes -= calls.removeValue(forKey: call) ?? 0 }

    /// Begins on a new connection.
    ///
    /// - Parameter address: the server's address, for the proxy.
    mutating func connected(to address: ServerAddress, at now: Moment) throws(MTProtoError) {
        (socks, link, handshake, isReady, unsent) = (nil, nil, nil, false, [])
        let timeout = settings.connectTimeout.components
        readyBefore = now.steady + Double(timeout.seconds) + Double(timeout.attoseconds) / 1e18
        guard case .socks5(_, let user, let password) = settings.proxy else { return try begin(at: now) }
        let socks = Socks5(to: address, user: user, password: password)
        unsent = socks.opening
        self.socks = socks
    }

    private mutating func begin(at now: Moment) throws(MTProtoError) {
        link = try TransportLink(
            settings.transport, secret: settings.proxy?.secret,
            dataCenter: Int16(truncatingIfNeeded: settings.dataCenter), random: random)
        try continueWithKeys(at: now)
    }

    /// Begins the exchange of a missing key, or continues the session.
    private mutating func continueWithKeys(at now: Moment) throws(MTProtoError) {
        dropExpiredSession(at: now)
        guard let permanent else { return beginHandshake(.permanent, at: now) }
        if session == nil && settings.usesTemporaryKeys {
            return beginHandshake(.temporary(seconds: Engine.temporarySeconds), at: now)
        }
        if session == nil { startSession(permanent, nil, at: now) } else { session?.connected(at: now) }
        // The server shows only in an answer whether it knows the key.
        session?.greet(at: now)
        try flush(at: now)
    }

    private mutating func beginHandshake(_ kind: Handshake.Kind, at now: Moment) {
        let handshake = Handshake(
            kind, dataCenter: Int32(truncatingIfNeeded: settings.dataCenter), keys: settings.serverKeys, random: random)
        self.handshake = handshake
        sendPlain(handshake.opening, at: now)
    }

    private mutating func sendPlain(_ body: [UInt8], at now: Moment) {
        link?.send(PlainMessage.packet(body, messageID: clock.nextMessageID(at: now)))
    }

    private mutating func startSession(_ key: AuthKey, _ binding: Session.Binding?, at now: Moment) {
        var new = Session(
            key, salt: salt, clock: clock,
            Session.Settings(
                initialization: settings.client?.bytes ?? [], binding: binding, wantsQuickAcks: settings.wantsQuickAcks),
            at: now, random: random)
        for (call, request) in waiting { new.call(call, request) }
        waiting = []
        session = new
    }

    private mutating func dropExpiredSession(at now: Moment) {
        guard let session, let binding = session.settings.binding else { return }
        if session.clock.time(at: now) >= Double(binding.expiresAt) - Engine.replacedBeforeSeconds { dropSession() }
    }

    /// Ends the session, and keeps its calls for the next one.
    private mutating func dropSession() {
        waiting = (session?.takeCalls() ?? []) + waiting
        clock = session?.clock ?? clock
        session = nil
    }

    /// Handles received bytes. `takeEvents` returns the resulting events, also when this throws.
    mutating func receive(_ bytes: some Collection<UInt8>, at now: Moment) throws(MTProtoError) {
        if socks != nil {
            guard let rest = try passProxy(bytes, at: now) else { return }
            return try receive(rest, at: now)
        }
        link?.receive(bytes)
        while let frame = try link?.next() { try take(frame, at: now) }
        try flush(at: now)
    }

    mutating func takeEvents() -> [SessionEvent] {
        defer { events = [] }
        return events
    }

    private mutating func passProxy(_ bytes: some Collection<UInt8>, at now: Moment) throws(MTProtoError) -> [UInt8]? {
        switch try socks?.receive(bytes) {
        case .send(let answer): unsent += answer
        case .done(let rest):
            socks = nil
            try begin(at: now)
            return rest
        case .wait, nil: break
        }
        return nil
    }

    private mutating func take(_ frame: TransportFrame, at now: Moment) throws(MTProtoError) {
        switch frame {
        case .packet(let packet) where handshake != nil: try takeHandshake(packet, at: now)
        case .packet(let packet): try takeMessage(packet, at: now)
        case .quickAck(let token): session?.receiveQuickAck(token, at: now)
        case .error(let code): throw refusal(code)
        }
    }

    private mutating func takeHandshake(_ packet: ArraySlice<UInt8>, at now: Moment) throws(MTProtoError) {
        switch try handshake?.receive(try PlainMessage.body(of: packet)) {
        case .send(let body): sendPlain(body, at: now)
        case .done(let outcome):
            let isTransient = permanent != nil
            handshake = nil
            clock.set(Double(outcome.serverTime), at: now)
            salt = outcome.salt
            if let permanent, isTransient {
                let expiresAt = outcome.serverTime + Engine.temporarySeconds
                startSession(outcome.key, Session.Binding(permanent: permanent, expiresAt: expiresAt), at: now)
            } else {
                permanent = outcome.key
                events += [.connection(.key(outcome.key)), .connection(.salt(outcome.salt))]
            }
            try continueWithKeys(at: now)
        case nil: break
        }
    }

    private mutating func takeMessage(_ packet: ArraySlice<UInt8>, at now: Moment) throws(MTProtoError) {
        let received = try session?.receive(packet, at: now) ?? []
        if !isReady {
            isReady = true
            events.append(.connection(.ready))
            // Updates between two connections are not always sent on the next one.
            if wasReady { events.append(.connection(.gap)) }
            wasReady = true
        }
        for event in received {
            switch event {
            case .answer(let call, _): forget(call)
            case .connection(.salt(let new)): salt = new
            case .connection: break
            }
        }
        events += received
        try checkBinding()
    }

    private mutating func checkBinding() throws(MTProtoError) {
        switch session?.bindingState {
        case .refused(let error) where error.isTransient:
            dropSession()
            throw MTProtoError(.disconnected, "Telegram refuses the temporary key at present: \(error.text)")
        case .refused(let error):
            throw MTProtoError(.unknownKey, "Telegram refuses this session's key: \(error.text)")
        case .done: lostKeys = 0
        case .pending, nil: break
        }
    }

    /// Returns the error that a code of four bytes, which a server sends instead of a message, stands for.
    private mutating func refusal(_ code: Int32) -> MTProtoError {
        switch code {
        case 404 where handshake != nil: return MTProtoError(.disconnected, "the server refuses a new key now (404)")
        case 404 where session?.settings.binding != nil && lostKeys < Engine.maxLostKeys:
            lostKeys += 1
            dropSession()
            return MTProtoError(.disconnected, "the server has lost the temporary key")
        case 404: return MTProtoError(.unknownKey, "Telegram does not know this session's key")
        case 429: return MTProtoError(.transportFlood, "too many connections from here; Telegram demands a wait")
        case 444:
            return MTProtoError(.configuration, "the address does not belong to data centre \(settings.dataCenter)")
        default: return MTProtoError(.disconnected, "the server ended the connection with error \(code)")
        }
    }

    /// Does what is due by now.
    ///
    /// - Throws: `MTProtoError`, when the connection is of no use any more.
    mutating func tick(at now: Moment) throws(MTProtoError) {
        guard isReady || now.steady < readyBefore else {
            throw MTProtoError(.timedOut, "the server does not answer")
        }
        guard handshake == nil, socks == nil else { return }
        dropExpiredSession(at: now)
        guard session != nil else { throw MTProtoError(.disconnected, "the temporary key is replaced") }
        try session?.tick(at: now)
        try flush(at: now)
    }

    /// Sends the session's packets, if the connection is ready for them.
    mutating func flush(at now: Moment) throws(MTProtoError) {
        guard link != nil, handshake == nil, socks == nil, session != nil else { return }
        for sealed in session?.flush(at: now) ?? [] {
            link?.send(sealed.packet, wantsQuickAck: settings.wantsQuickAcks)
        }
    }

    /// Takes the bytes to be sent now.
    mutating func takeUnsent() -> [UInt8] {
        defer { unsent = [] }
        let packets = link?.takeUnsent() ?? []
        return unsent.isEmpty ? packets : unsent + packets
    }

    /// Discards the state of a connection that has ended.
    mutating func disconnected() { (socks, link, handshake, isReady) = (nil, nil, nil, false) }

    /// The next time, by the steady clock, when `tick` has something to do.
    var deadline: Double {
        guard isReady, let session else { return readyBefore }
        guard let binding = session.settings.binding else { return session.deadline }
        return min(session.deadline, session.clock.steady(at: Double(binding.expiresAt) - Engine.replacedBeforeSeconds))
    }
}
