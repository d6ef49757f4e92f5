import Envelope
import JSON
import Payloads

/// Holds what the events of one command and account have in common.
struct EventContext: Sendable {
    let accountID: Int64
    let attachesTL: Bool
    /// The media to download; nil for none.
    let media: MediaCommands?
    private let cause: Correlation?
    private let correlationID: EventID
    /// `meta` of the command, with the account.
    private let meta: JSONObject
    /// The text between an event's id and its payload; all events of one answer have the same time.
    private let head: [UInt8]

    private let time: Timestamp

    /// - Parameter time: the time at which Telegram was asked for the messages.
    init(account: EventReceiver, cause: Correlation?, at time: Timestamp, _ settings: PoolSettings) {
        self.time = time
        accountID = account.id ?? 0
        (self.cause, attachesTL) = (cause, settings.attachesTL)
        media = settings.media.isEmpty ? nil : MediaCommands(wanted: settings.media)
        correlationID = cause?.correlationID ?? EventID()
        var meta = cause?.derivedMeta ?? [:]
        meta["account"] = account.json
        self.meta = meta
        var head: [UInt8] = []
        head.append(literal: #"","type":""#)
        head += HistoryMessage.type.utf8
        head.append(literal: #"","version":1,"correlation_id":""#)
        head += correlationID.description.utf8
        if let causationID = cause?.causationID {
            head.append(literal: #"","causation_id":""#)
            head += causationID.description.utf8
        }
        head.append(literal: #"","timestamp":""#)
        head += time.description.utf8
        head.append(literal: #"","payload":{"#)
        self.head = head
    }

    func envelope(_ payload: some EventPayload) -> Envelope {
        var envelope = Envelope(payload, meta: meta, correlationID: correlationID)
        envelope.causationID = cause?.causationID
        envelope.timestamp = time.description
        return envelope
    }

    /// Appends the beginning of a message's event, up to the members of its payload.
    func begin(_ id: EventID, to output: TextBuffer) {
        output.put(literal: #"{"id":""#)
        id.write(to: output)
        output.put(head)
    }

    /// The ends of a message's event: for a message of others, and for one of the account.
    var endings: (other: [UInt8], own: [UInt8]) {
        func ending(_ meta: JSONObject) -> [UInt8] {
            var text = Array(#"},"meta":"#.utf8)
            meta.write(to: &text)
            text.append(literal: "}\n")
            return text
        }
        var own = meta
        own["outgoing"] = true
        return (ending(meta), ending(own))
    }
}
