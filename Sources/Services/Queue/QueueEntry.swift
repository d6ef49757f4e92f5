/// Identifies an event that was taken from a queue, for as long as its lease lasts.
package struct QueueEntry: Sendable, Hashable {
    /// The entry's id in the stream.
    package let id: String
    /// The number of times that it has been taken, this time included.
    package let attempt: Int

    package init(id: String, attempt: Int) {
        self.id = id
        self.attempt = attempt
    }

    /// Returns whether the first entry came to the queue before the second.
    static func isOlder(_ first: QueueEntry, _ second: QueueEntry) -> Bool {
        first.position.lexicographicallyPrecedes(second.position)
    }

    /// The numbers of the id, `MILLISECONDS-SEQUENCE`.
    private var position: [UInt64] { id.split(separator: "-").map { UInt64($0) ?? 0 } }
}

/// Holds the entries that a worker has taken.
package enum TakenEntries: Sendable {
    case entries([TakenEntry])
    /// Two workers ended while they had this entry: it is to be handled by a worker that does nothing else until it is done.
    case alone(TakenEntry)
    /// There is an entry that ended two workers; an idle worker can take it.
    case suspect

    package var entries: [TakenEntry] {
        switch self {
        case .entries(let entries): entries
        case .alone(let entry): [entry]
        case .suspect: []
        }
    }
}

/// Holds one entry and its line.
package struct TakenEntry: Sendable {
    package let entry: QueueEntry
    /// The time just before Redis was asked for it.
    package let askedAt: ContinuousClock.Instant
    /// The line without its line feed; empty if the entry of the stream holds no line.
    package let line: [UInt8]
}

/// Represents a line for one of several queues.
package struct QueueLine: Sendable {
    /// The index of the queue in `QueueOutputs`.
    package let output: Int
    /// The line without its line feed.
    package let bytes: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>, output: Int = 0) {
        self.output = output
        self.bytes = bytes
    }

    /// Splits a text of whole lines.
    package static func lines(of text: [UInt8], output: Int = 0) -> [QueueLine] {
        text.split(separator: UInt8(ascii: "\n")).map { QueueLine($0, output: output) }
    }
}

/// Holds the lines that result from one entry.
package struct QueueResult: Sendable {
    package let entry: QueueEntry
    package let lines: [QueueLine]

    package init(_ entry: QueueEntry, lines: [QueueLine] = []) {
        self.entry = entry
        self.lines = lines
    }
}

/// Lists queues that are published to together.
package struct QueueOutputs: Sendable, CustomStringConvertible {
    package static let defaultMaxLength = 1_000_000

    package let queues: [QueueName]
    /// The number of events that each queue may hold.
    package let maxLength: Int

    package init(_ queues: [QueueName], maxLength: Int = defaultMaxLength) {
        self.queues = queues
        self.maxLength = maxLength
    }

    package static let none = QueueOutputs([])

    /// The most lines that are published in one step: more would delay other clients of Redis, or find no room in a small queue.
    package var mostTogether: Int { min(1000, maxLength) }

    package var description: String {
        "\(queues.map(\.description).joined(separator: " or ")), of at most \(maxLength) events"
    }
}

/// Tells why an event is a dead letter.
package struct DeadLetterReason: Sendable {
    /// The reason as a word for programs: `not_json`, `failed`, `worker_died`, …
    package let code: String
    /// The reason as text for people.
    package let text: String

    package init(code: String, text: String) {
        self.code = code
        self.text = text
    }
}
