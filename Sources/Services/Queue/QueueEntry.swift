/// An event that was taken from a queue, for as long as its lease lasts.
package struct QueueEntry: Sendable, Hashable {
    /// The stream's name for it.
    package let id: String
    /// How often it has been taken, this time included.
    package let attempt: Int

    package init(id: String, attempt: Int) {
        self.id = id
        self.attempt = attempt
    }
}

/// What a worker got.
package struct TakenEntry: Sendable {
    package let entry: QueueEntry
    /// Without its line feed; empty when somebody put something else than a line into the stream.
    package let line: [UInt8]
}

/// A line for one of several queues.
package struct QueueLine: Sendable {
    /// The index of its queue.
    package let output: Int
    /// Without its line feed.
    package let bytes: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>, output: Int = 0) {
        self.output = output
        self.bytes = bytes
    }

    /// Text of whole lines as lines.
    package static func lines(of text: [UInt8], output: Int = 0) -> [QueueLine] {
        text.split(separator: UInt8(ascii: "\n")).map { QueueLine($0, output: output) }
    }
}

/// What came of one entry.
package struct QueueResult: Sendable {
    package let entry: QueueEntry
    package let lines: [QueueLine]

    package init(_ entry: QueueEntry, lines: [QueueLine] = []) {
        self.entry = entry
        self.lines = lines
    }
}

/// Queues that are published to together.
package struct QueueOutputs: Sendable, CustomStringConvertible {
    package static let defaultMaxLength = 1_000_000

    package let queues: [QueueName]
    /// How many events each may hold.
    package let maxLength: Int

    package init(_ queues: [QueueName], maxLength: Int = defaultMaxLength) {
        self.queues = queues
        self.maxLength = maxLength
    }

    package static let none = QueueOutputs([])

    package var description: String {
        "\(queues.map(\.description).joined(separator: " or ")), of at most \(maxLength) events"
    }
}

/// What is written on the stone of an event that nothing more can be done for.
package struct Burial: Sendable {
    /// A word for programs: `not_json`, `failed`, `worker_died`, …
    package let code: String
    /// For people.
    package let reason: String

    package init(code: String, reason: String) {
        self.code = code
        self.reason = reason
    }
}
