/// Represents a queue's name: at most 100 letters, digits, `.`, `_` and `-`, a letter or digit first.
package struct QueueName: Sendable, Hashable, CustomStringConvertible {
    package static let prefix = "queue:"

    package let text: String

    /// - Throws: `QueueError` (64), with the rule for names.
    package init(_ text: some StringProtocol) throws(QueueError) {
        guard QueueName.isName(text) else {
            throw QueueError(
                .invalidName,
                "a queue's name must have 1 to 100 letters, digits, '.', '_' and '-', and begin with a letter or digit")
        }
        self.text = String(text)
    }

    /// Reads an endpoint `queue:NAME`; returns nil for another kind of endpoint.
    ///
    /// - Throws: `QueueError` (64), also for the address of a server, which would else be taken for a path. Its message does not
    ///   repeat the address, which may hold a password.
    package init?(endpoint: String) throws(QueueError) {
        guard !QueueName.isAddress(endpoint) else {
            throw QueueError(
                .invalidName,
                "the address of a server is not an endpoint: write queue:NAME, and give Redis's address with --redis or TGPIPE_REDIS"
            )
        }
        guard endpoint.hasPrefix(QueueName.prefix) else { return nil }
        try self.init(endpoint.dropFirst(QueueName.prefix.count))
    }

    /// Returns whether a text is an address such as `redis://HOST`, and no name of a file.
    package static func isAddress(_ text: String) -> Bool {
        let scheme = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "+.-".contains($0)) }
        return !scheme.isEmpty && text.dropFirst(scheme.count).hasPrefix("://")
    }

    /// Returns whether a text is a valid name of a queue or a group.
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

    /// The name as an endpoint.
    package var description: String { QueueName.prefix + text }

    /// The hash tag of all queues: an event moves between queues in one atomic step, which a cluster can do on one node only.
    /// Keys that a publication sets in the same step must have it, too.
    package static let hashTag = "{queues}"
    /// The prefix of all keys.
    static let keyPrefix = "tgpipe:\(hashTag):"
    /// The set of the names of all queues that were ever used and not purged.
    static let namesKey = keyPrefix + "names"

    /// The key of the queue's stream, whose entries have the line in a field `e`.
    package var streamKey: String { key("stream") }
    /// A pattern that matches the `streamKey` of every queue.
    static let anyStreamKey = keyPrefix + "*:stream"

    /// Reads a stream's key; returns nil if it is not the key of a queue.
    init?(streamKey: String) {
        let name = streamKey.dropFirst(QueueName.keyPrefix.count).dropLast(":stream".count)
        guard QueueName.isName(name) else { return nil }
        text = String(name)
    }

    var deadKey: String { key("dead") }
    /// The key of a short stream that makes waiting workers look again.
    var nudgeKey: String { key("nudge") }

    func key(_ word: String) -> String { "\(QueueName.keyPrefix)\(text):\(word)" }
}

/// Represents a group of workers on a queue: each group receives every event, and each event goes to one worker of the group.
struct QueueGroup: Sendable, Hashable {
    let queue: QueueName
    let name: String

    /// - Throws: `QueueError` (64).
    init(_ queue: QueueName, _ name: String) throws(QueueError) {
        guard QueueName.isName(name) else {
            throw QueueError(
                .invalidName,
                "a group's name must have 1 to 100 letters, digits, '.', '_' and '-', and begin with a letter or digit")
        }
        self.queue = queue
        self.name = name
    }

    /// The key of a sorted set of entry ids by the time, in ms, from which any worker may take the entry: the end of a lease, of a
    /// pause, or of a hold.
    var dueKey: String { queue.key("due:\(name)") }
    /// The key of a hash from entry ids to the number of failures and the last reason.
    var failuresKey: String { queue.key("failures:\(name)") }
    /// The key of the set of entries that were woken while they were in work.
    var wokenKey: String { queue.key("woken:\(name)") }
    /// The key of the service that the group's workers wait for.
    var awayKey: String { queue.key("away:\(name)") }

    /// The key of a sorted set with the order of the unfinished entries that have a key; see `QueueOrderScripts`.
    var chainsKey: String { queue.key("order:\(name)") }
    /// The key of a hash from these entries' ids to digests of their keys.
    var entryKeysKey: String { queue.key("order-keys:\(name)") }

    /// The key of a sorted set of keys with entries that their owner does not know of yet; see `QueueOrderScripts`.
    var inboxesKey: String { queue.key("order-inboxes:\(name)") }

    /// The keys in the order in which the scripts expect them.
    var keys: [String] {
        [
            queue.streamKey, dueKey, failuresKey, wokenKey, queue.nudgeKey, queue.deadKey, chainsKey, entryKeysKey,
            inboxesKey,
        ]
    }
}
