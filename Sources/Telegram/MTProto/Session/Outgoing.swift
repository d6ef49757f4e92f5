/// The name of a call that waits for its answer.
typealias CallID = UInt64

/// A message of this side: on its way, or before that.
struct Outgoing {
    enum Purpose: Equatable {
        /// A call of the owner of the session.
        case call(CallID)
        /// Ties a temporary key to the permanent one.
        case binding
        /// Of the protocol itself, and answered by it.
        case service
        /// Acknowledgements and information, which nothing answers.
        case notice
    }

    let purpose: Purpose
    /// As the owner gave it.
    let request: [UInt8]
    /// As it is sent: set up for a layer where that is due, and packed.
    var body: [UInt8] = []
    var id: Int64 = 0
    var sequence: Int32 = 0
    /// When it was sent last, by the steady clock.
    var sentAt: Double = 0
    var isAcknowledged = false
    /// How often the server did not take it.
    var refusals = 0
    /// Whether it tells the server who speaks, and in which layer.
    var isInitializing = false

    init(_ purpose: Purpose, _ request: [UInt8]) { (self.purpose, self.request) = (purpose, request) }

    /// Whether the other side has to acknowledge it: that counts in the numbers of messages.
    var isContent: Bool {
        switch purpose {
        case .call, .binding: true
        case .service, .notice: ServiceID.content.contains { request.starts(with: $0) }
        }
    }
}

/// Messages that were sent: what waits for an answer, and for a while what does not.
struct SentMessages {
    static let mostContainers = 256
    static let mostNotices = 256

    private(set) var waiting: [Int64: Outgoing] = [:]
    private var notices: [(id: Int64, message: Outgoing)] = []
    private var containers: [(id: Int64, contents: [Int64])] = []

    mutating func insert(_ message: Outgoing) {
        guard message.purpose == .notice else {
            waiting[message.id] = message
            return
        }
        if notices.count >= SentMessages.mostNotices { notices.removeFirst(SentMessages.mostNotices / 4) }
        notices.append((message.id, message))
    }

    mutating func insertContainer(_ id: Int64, _ contents: [Int64]) {
        if containers.count >= SentMessages.mostContainers { containers.removeFirst(SentMessages.mostContainers / 4) }
        containers.append((id, contents))
    }

    /// What waits for an answer, by age.
    var waitingIDs: [Int64] { waiting.keys.sorted() }

    func contains(_ id: Int64) -> Bool { !contents(of: id).isEmpty }

    /// The messages that an id stands for: itself, or those of a container. Unknown ones are left out.
    func contents(of id: Int64) -> [Int64] {
        if let container = containers.last(where: { $0.id == id }) {
            return container.contents.filter { contents(of: $0).isEmpty == false }
        }
        return waiting[id] != nil || notices.contains { $0.id == id } ? [id] : []
    }

    mutating func remove(_ id: Int64) -> Outgoing? {
        if let message = waiting.removeValue(forKey: id) { return message }
        return notices.firstIndex { $0.id == id }.map { notices.remove(at: $0).message }
    }

    mutating func update(_ id: Int64, _ change: (inout Outgoing) -> Void) {
        if let place = waiting.index(forKey: id) {
            change(&waiting.values[place])
        } else if let place = notices.firstIndex(where: { $0.id == id }) {
            change(&notices[place].message)
        }
    }

    subscript(_ id: Int64) -> Outgoing? { waiting[id] ?? notices.first { $0.id == id }?.message }

    /// All that waits for an answer, by age; nothing is known any more.
    mutating func removeAll() -> [Outgoing] {
        defer { (waiting, notices, containers) = ([:], [], []) }
        return waitingIDs.compactMap { waiting[$0] }
    }
}
