/// Remembers the ids of received messages, so that each message is handled once.
struct ReceivedMessages {
    /// The number of ids that are remembered; a message older than all of them is not handled.
    static let maxRemembered = 4096

    enum Verdict: Equatable {
        case new
        /// The server had a reason to send the message again: a new connection, or a request.
        case repeated
        /// The server had no reason to send the message again: an attacker may be replaying recorded messages.
        case replayed
    }

    private var known: Set<Int64> = []
    /// The known ids in order.
    private var ordered: [Int64] = []
    private var onThisConnection: Set<Int64> = []
    /// Messages that were requested. They may arrive twice, because the server may send them without the request as well.
    private var askedFor: Set<Int64> = []
    /// The number of messages that this side sent again on this connection; each may bring an answer that arrived before.
    private var repeatsSent = 0
    /// The highest id that was dropped from memory; whether ids up to it were received is unknown.
    private var forgotten = Int64.min

    /// Notes a message, and decides whether to handle it.
    ///
    /// - Parameter isAlone: whether it is in no container; servers repeat unacknowledged messages in containers.
    mutating func insert(_ id: Int64, isAlone: Bool) -> Verdict {
        if known.contains(id) {
            if isAlone && onThisConnection.contains(id) && askedFor.remove(id) == nil {
                guard repeatsSent > 0 else { return .replayed }
                repeatsSent -= 1
            }
            onThisConnection.insert(id)
            return .repeated
        }
        guard id > forgotten else { return .repeated }
        if ordered.count >= ReceivedMessages.maxRemembered { forgetOldest() }
        known.insert(id)
        onThisConnection.insert(id)
        // Most messages arrive in order, so the place is usually at the end.
        let place = ordered.lastIndex { $0 < id }.map { $0 + 1 } ?? 0
        ordered.insert(id, at: place)
        return .new
    }

    private mutating func forgetOldest() {
        for id in ordered.prefix(ReceivedMessages.maxRemembered / 4) {
            forgotten = id
            known.remove(id)
            onThisConnection.remove(id)
        }
        ordered.removeFirst(ReceivedMessages.maxRemembered / 4)
        askedFor.formIntersection(known)
    }

    /// Notes the end of a connection: on the next one, messages may arrive again.
    mutating func connectionEnded() { (onThisConnection, repeatsSent) = ([], 0) }

    mutating func sentAgain(_ count: Int) { repeatsSent = min(repeatsSent + count, ReceivedMessages.maxRemembered) }

    mutating func askFor(_ id: Int64) {
        if askedFor.count < ReceivedMessages.maxRemembered { askedFor.insert(id) }
    }

    func contains(_ id: Int64) -> Bool { known.contains(id) }

    /// Returns a message's state as a byte of `msgs_state_info`. Source: https://core.telegram.org/mtproto/service_messages_about_messages
    func state(of id: Int64) -> UInt8 {
        if known.contains(id) { return 4 }
        guard let oldest = ordered.first, let newest = ordered.last else { return 3 }
        return id < oldest ? 1 : id > newest ? 3 : 2
    }
}
