import Envelope
import JSON
import Stage

/// Represents an event by what counts in a comparison.
struct GoldenEvent: Sendable {
    let type: String
    /// The parts that count, by their paths; `caused by` is the type of the event that caused this one.
    let leaves: [String: String]
    /// The same as one text.
    let text: String

    init(type: String, leaves: [String: String]) {
        self.type = type
        self.leaves = leaves
        text = ([type] + leaves.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }).joined(separator: "\u{1}")
    }
}

/// Represents all events of one request.
struct GoldenRequest: Sendable {
    let correlationID: String
    /// The events in the order of their texts: stages that work side by side write theirs in any order.
    let events: [GoldenEvent]
    /// The type of the event that was recorded first.
    let firstType: String
    let text: String

    init(correlationID: String, inOrder events: [GoldenEvent]) {
        self.correlationID = correlationID
        firstType = events.first?.type ?? ""
        self.events = events.sorted { $0.text < $1.text }
        text = self.events.map(\.text).joined(separator: "\u{2}")
    }
}

/// Collects the requests of a recording in the order of their first events.
struct GoldenRecording {
    private struct Draft {
        var events: [(event: Envelope, body: [String: String])] = []
        var types: [EventID: String] = [:]
    }

    private let rules: GoldenRules
    private var drafts: [EventID: Draft] = [:]
    private var order: [EventID] = []

    init(_ rules: GoldenRules) { self.rules = rules }

    mutating func add(_ event: Envelope) {
        if drafts[event.correlationID] == nil { order.append(event.correlationID) }
        var body = rules.leaves(of: .object(event.payload), at: "payload")
        body.merge(rules.leaves(of: .object(event.meta), at: "meta")) { $1 }
        if event.version != 1 { body["version"] = "\(event.version)" }
        var bare = event
        (bare.payload, bare.meta) = ([:], [:])
        drafts[event.correlationID, default: Draft()].events.append((bare, body))
        drafts[event.correlationID]?.types[event.id] = event.type
    }

    var requests: [GoldenRequest] {
        order.compactMap { id in
            guard let draft = drafts[id] else { return nil }
            let events = draft.events.map { event, body in
                var body = body
                // The cause may not be part of the recording.
                if let cause = event.causationID { body["caused by"] = draft.types[cause] ?? "another event" }
                return GoldenEvent(type: event.type, leaves: body)
            }
            return GoldenRequest(correlationID: id.description, inOrder: events)
        }
    }
}
