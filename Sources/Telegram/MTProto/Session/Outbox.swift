/// The number by which the owner of a session recognises a call's answer.
typealias CallID = UInt64

/// A message of this side, sent or still to be sent.
struct Outgoing {
    enum Purpose: Equatable {
        /// A call of the session's owner.
        case call(CallID)
        /// Binds a temporary key to the permanent one.
        case binding
        /// A request of the protocol itself, which the server answers.
        case service
        /// An acknowledgement or a report, which the server does not answer.
        case notice
    }

    let purpose: Purpose
    /// The request as the owner gave it.
    let request: [UInt8]
    /// The bytes to send: the request, preceded by `initConnection` if the server does not know this side yet, and
    /// compressed if that saves space.
    var body: [UInt8] = []
    var id: Int64 = 0
    var sequence: Int32 = 0
    /// The time when it was last sent, by the steady clock; 0 before that.
    var sentAt: Double = 0
    var isAcknowledged = false
    /// The number of times that the server has refused it.
    var refusals = 0
    /// Is true if `initConnection`, which tells the server about this side, precedes the request.
    var isInitializing = false

    init(_ purpose: Purpose, _ request: [UInt8]) { (self.purpose, self.request) = (purpose, request) }

    /// Is true if the server must acknowledge the message, which then counts in the sequence numbers.
    var isContent: Bool {
        switch purpose {
        case .call, .binding: true
        case .service, .notice: ServiceID.content.contains { request.starts(with: $0) }
        }
    }
}

/// Keeps the messages of this side: messages to be sent, messages that wait for an answer and, for a while, messages
/// that need no answer.
struct Outbox {
    private static let maxContainers = 256
    private static let maxNotices = 256

    /// Messages to be sent with new ids.
    private var queue: [Outgoing] = []
    /// The ids of waiting messages to be sent again as they are.
    private var repeats: [Int64] = []
    /// Messages that wait for an answer, by their ids.
    private var waiting: [Int64: Outgoing] = [:]
    private var notices: [(id: Int64, message: Outgoing)] = []
    private var containers: [(id: Int64, contents: [Int64])] = []

    /// Is true if there is nothing to send.
    var isIdle: Bool { queue.isEmpty && repeats.isEmpty }

    var hasUnacknowledged: Bool { waiting.values.contains { !$0.isAcknowledged } }

    /// The ids of messages that were sent at `time` or earlier, and that the server must acknowledge but has not.
    func unacknowledged(since time: Double) -> [Int64] {
        waiting.values.filter { $0.isContent && !$0.isAcknowledged && $0.sentAt > 0 && $0.sentAt <= time }.map(\.id)
            .sorted()
    }

    // MARK: Before sending

    mutating func append(_ purpose: Outgoing.Purpose, _ request: [UInt8]) { queue.append(Outgoing(purpose, request)) }

    mutating func insertFirst(_ purpose: Outgoing.Purpose, _ request: [UInt8]) {
        queue.insert(Outgoing(purpose, request), at: 0)
    }

    /// Takes the messages to be sent now.
    ///
    /// - Parameter isBound: whether the session's key is bound; before that, only the binding and the protocol's own messages are sent.
    /// - Returns: messages to be sent again as they are, and messages that still need their ids and final bodies.
    mutating func take(isBound: Bool) -> (repeated: [Outgoing], new: [Outgoing]) {
        let repeated = repeats.compactMap { waiting[$0] }.filter { isBound || $0.purpose == .binding }
        if isBound { repeats = [] } else { repeats.removeAll { id in repeated.contains { $0.id == id } } }
        // A container must not hold a message twice.
        var new: [Outgoing] = []
        var held: [Outgoing] = []
        for message in queue {
            if case .call = message.purpose, !isBound { held.append(message) } else { new.append(message) }
        }
        queue = held
        return (repeated, new)
    }

    // MARK: After sending

    /// Remembers a message that was given its id.
    mutating func insert(_ message: Outgoing) {
        guard message.purpose == .notice else {
            waiting[message.id] = message
            return
        }
        if notices.count >= Outbox.maxNotices { notices.removeFirst(Outbox.maxNotices / 4) }
        notices.append((message.id, message))
    }

    mutating func insertContainer(_ id: Int64, _ contents: [Int64]) {
        if containers.count >= Outbox.maxContainers { containers.removeFirst(Outbox.maxContainers / 4) }
        containers.append((id, contents))
    }

    subscript(_ id: Int64) -> Outgoing? { waiting[id] ?? notices.first { $0.id == id }?.message }

    func isWaiting(_ id: Int64) -> Bool { waiting[id] != nil }

    func contains(_ id: Int64) -> Bool { !contents(of: id).isEmpty }

    /// Returns the known messages that an id stands for: the message itself, or the messages of a container.
    func contents(of id: Int64) -> [Int64] {
        if let container = containers.last(where: { $0.id == id }) {
            return container.contents.filter { !contents(of: $0).isEmpty }
        }
        return self[id] == nil ? [] : [id]
    }

    mutating func update(_ id: Int64, _ change: (inout Outgoing) -> Void) {
        if let place = waiting.index(forKey: id) {
            change(&waiting.values[place])
        } else if let place = notices.firstIndex(where: { $0.id == id }) {
            change(&notices[place].message)
        }
    }

    /// Removes a message that was answered.
    mutating func remove(_ id: Int64) -> Outgoing? {
        repeats.removeAll { $0 == id }
        if let message = waiting.removeValue(forKey: id) { return message }
        return notices.firstIndex { $0.id == id }.map { notices.remove(at: $0).message }
    }

    /// Removes a call, sent or not.
    ///
    /// - Returns: the id of its message when that was sent already.
    mutating func remove(_ call: CallID) -> Int64? {
        queue.removeAll { $0.purpose == .call(call) }
        guard let id = waiting.first(where: { $0.value.purpose == .call(call) })?.key else { return nil }
        _ = remove(id)
        return id
    }

    // MARK: Sending again

    /// Sends waiting messages again with their present ids.
    mutating func sendAgain(_ ids: [Int64]) {
        for id in ids where isWaiting(id) && !repeats.contains(id) { repeats.append(id) }
    }

    /// Sends messages again with new ids, because the server has not accepted them.
    mutating func requeue(_ ids: [Int64]) {
        let messages = ids.compactMap { remove($0) }
        queue = messages + queue
    }

    /// Sends waiting messages with ids below `id` again with new ids.
    mutating func requeue(before id: Int64) { requeue(waiting.keys.filter { $0 < id }.sorted()) }

    /// Sends all waiting messages again with their present ids, on a new connection. Requests of the protocol itself are dropped,
    /// because neither their answers nor duplicates of them matter there.
    mutating func sendAgainOnNewConnection() {
        for (id, message) in waiting where message.purpose == .service { waiting[id] = nil }
        queue.removeAll { $0.purpose == .service }
        repeats = waiting.keys.sorted()
    }

    /// Sends all waiting messages again with new ids, in a new session, where the old ids mean nothing.
    mutating func sendAgainInNewSession() { queue = takeSent().filter { $0.purpose != .service } + queue }

    /// Takes all calls that have no answer yet.
    mutating func takeCalls() -> [(CallID, [UInt8])] {
        let calls = (takeSent() + queue).compactMap { message in
            if case .call(let call) = message.purpose { (call, message.request) } else { nil }
        }
        queue = []
        return calls
    }

    /// Forgets all messages that were sent; returns those that wait for an answer, by age.
    private mutating func takeSent() -> [Outgoing] {
        defer { (waiting, notices, containers, repeats) = ([:], [], [], []) }
        return waiting.values.sorted { $0.id < $1.id }
    }
}
