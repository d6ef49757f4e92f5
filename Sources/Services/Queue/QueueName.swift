/// A queue's name: letters, digits, `.`, `_` and `-`, at most 100 of them, a letter or digit first.
package struct QueueName: Sendable, Hashable, CustomStringConvertible {
    package static let prefix = "queue:"

    package let text: String

    /// - Throws: `QueueError` (usage) with what a name may be.
    package init(_ text: some StringProtocol) throws(QueueError) {
        guard QueueName.isName(text) else {
            throw QueueError(
                .invalidName,
                "a queue's name is made of at most 100 letters, digits, '.', '_' and '-', a letter or digit first")
        }
        self.text = String(text)
    }

    /// The queue of an endpoint `queue:NAME`; nil when it is another kind of endpoint.
    package init?(endpoint: String) throws(QueueError) {
        guard endpoint.hasPrefix(QueueName.prefix) else { return nil }
        try self.init(endpoint.dropFirst(QueueName.prefix.count))
    }

    /// Groups have names of the same form.
    static func isName(_ text: some StringProtocol) -> Bool {
        func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: false
            }
        }
        guard let first = text.utf8.first, isWord(first), text.utf8.count <= 100 else { return false }
        return text.utf8.allSatisfy { isWord($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }
    }

    /// As an endpoint.
    package var description: String { QueueName.prefix + text }

    /// One tag for all queues: an event moves from one to another in one atomic step, which a cluster does on one node only.
    static let keyPrefix = "tgpipe:{queues}:"
    /// The set of the names of all queues that there ever were and that were not purged.
    static let namesKey = keyPrefix + "names"

    /// A stream of entries with a field `e`, the line.
    package var streamKey: String { key("stream") }
    /// What matches the `streamKey` of every queue.
    static let anyStreamKey = keyPrefix + "*:stream"

    /// nil when no queue has such a key.
    init?(streamKey: String) {
        let name = streamKey.dropFirst(QueueName.keyPrefix.count).dropLast(":stream".count)
        guard QueueName.isName(name) else { return nil }
        text = String(name)
    }

    var deadKey: String { key("dead") }
    /// A short stream on which those who wait for work are told to look again.
    var nudgeKey: String { key("nudge") }

    func key(_ word: String) -> String { "\(QueueName.keyPrefix)\(text):\(word)" }
}

/// One group of workers on a queue: each group gets every event, each event goes to one worker of a group.
struct QueueGroup: Sendable, Hashable {
    let queue: QueueName
    let name: String

    /// - Throws: `QueueError` (usage).
    init(_ queue: QueueName, _ name: String) throws(QueueError) {
        guard QueueName.isName(name) else {
            throw QueueError(
                .invalidName,
                "a group's name is made of at most 100 letters, digits, '.', '_' and '-', a letter or digit first")
        }
        self.queue = queue
        self.name = name
    }

    /// Entry id → the time in ms from which on anybody may take it: the end of a lease, of a pause, or of being held.
    var dueKey: String { queue.key("due:\(name)") }
    /// Entry id → how often it failed, and why the last time.
    var failuresKey: String { queue.key("failures:\(name)") }
    /// Entries that were woken while somebody worked on them.
    var wokenKey: String { queue.key("woken:\(name)") }

    /// In the order that the scripts know.
    var keys: [String] { [queue.streamKey, dueKey, failuresKey, wokenKey, queue.nudgeKey, queue.deadKey] }
}
