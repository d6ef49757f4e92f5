/// An event that was taken from a queue, for as long as its lease lasts.
public struct QueueEntry: Sendable, Hashable {
    /// The stream's name for it.
    public let id: String
    /// How often it has been taken, this time included.
    public let attempt: Int

    public init(id: String, attempt: Int) {
        self.id = id
        self.attempt = attempt
    }
}

/// What a worker got.
public struct TakenEntry: Sendable {
    public let entry: QueueEntry
    /// Without its line feed; empty when somebody put something else than a line into the stream.
    public let line: [UInt8]
}

/// A line for one of several queues.
public struct QueueLine: Sendable {
    /// The index of its queue.
    public let output: Int
    /// Without its line feed.
    public let bytes: ArraySlice<UInt8>

    public init(_ bytes: ArraySlice<UInt8>, output: Int = 0) {
        self.output = output
        self.bytes = bytes
    }

    /// Text of whole lines as lines.
    public static func lines(of text: [UInt8], output: Int = 0) -> [QueueLine] {
        text.split(separator: UInt8(ascii: "\n")).map { QueueLine($0, output: output) }
    }
}

/// What came of one entry.
public struct QueueResult: Sendable {
    public let entry: QueueEntry
    public let lines: [QueueLine]

    public init(_ entry: QueueEntry, lines: [QueueLine] = []) {
        self.entry = entry
        self.lines = lines
    }
}

/// Queues that are published to together.
public struct QueueOutputs: Sendable, CustomStringConvertible {
    public static let defaultMaxLength = 1_000_000

    public let queues: [QueueName]
    /// How many events each may hold.
    public let maxLength: Int

    public init(_ queues: [QueueName], maxLength: Int = defaultMaxLength) {
        self.queues = queues
        self.maxLength = maxLength
    }

    public static let none = QueueOutputs([])

    public var description: String {
        "\(queues.map(\.description).joined(separator: " or ")), of at most \(maxLength) events"
    }
}

/// What is written on the stone of an event that nothing more can be done for.
public struct Burial: Sendable {
    /// A word for programs: `not_json`, `failed`, `worker_died`, …
    public let code: String
    /// For people.
    public let reason: String

    public init(code: String, reason: String) {
        self.code = code
        self.reason = reason
    }
}
