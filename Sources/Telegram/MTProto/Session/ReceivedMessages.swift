/// The ids of messages that were received: each is taken once.
struct ReceivedMessages {
    /// So many are remembered; what is older than all of them is not taken.
    static let mostRemembered = 4096

    enum Verdict: Equatable {
        case new
        /// The server was right to send it once more: on another connection, or because it was asked to.
        case repeated
        /// Nobody but somebody who plays back what he heard would send that.
        case replayed
    }

    private var known: Set<Int64> = []
    /// In the order of their ids.
    private var ordered: [Int64] = []
    private var onThisConnection: Set<Int64> = []
    /// Those may come twice: because they were asked for, and because the server meant to send them anyway.
    private var askedFor: Set<Int64> = []
    /// Messages of this side that were sent once more on this connection: each may bring an answer that came already.
    private var repeatsSent = 0
    /// Of ids up to this, nobody knows any more whether they were there.
    private var forgotten = Int64.min

    /// - Parameter isAlone: not in a container, in which servers send again what was not acknowledged.
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
        if ordered.count >= ReceivedMessages.mostRemembered { forgetOldest() }
        known.insert(id)
        onThisConnection.insert(id)
        // Mostly at the end.
        let place = ordered.lastIndex { $0 < id }.map { $0 + 1 } ?? 0
        ordered.insert(id, at: place)
        return .new
    }

    private mutating func forgetOldest() {
        for id in ordered.prefix(ReceivedMessages.mostRemembered / 4) {
            forgotten = id
            known.remove(id)
            onThisConnection.remove(id)
        }
        ordered.removeFirst(ReceivedMessages.mostRemembered / 4)
        askedFor.formIntersection(known)
    }

    /// On the next connection messages may come again.
    mutating func connectionEnded() { (onThisConnection, repeatsSent) = ([], 0) }

    mutating func sentAgain(_ count: Int) { repeatsSent = min(repeatsSent + count, ReceivedMessages.mostRemembered) }

    mutating func askFor(_ id: Int64) {
        if askedFor.count < ReceivedMessages.mostRemembered { askedFor.insert(id) }
    }

    func contains(_ id: Int64) -> Bool { known.contains(id) }

    /// One byte of `msgs_state_info`. Source: https://core.telegram.org/mtproto/service_messages_about_messages
    func state(of id: Int64) -> UInt8 {
        if known.contains(id) { return 4 }
        guard let oldest = ordered.first, let newest = ordered.last else { return 3 }
        return id < oldest ? 1 : id > newest ? 3 : 2
    }
}
