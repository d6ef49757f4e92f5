package import JSON

/// Tells by which value of an event a queue is ordered.
///
/// Entries whose events have the same value are given out in the order of the queue, to one worker at a time: the next one only when all
/// earlier ones are finished, or in the hands of the same worker. An entry that is retried keeps those behind it waiting, and one
/// that is held does not. Events without such a value, and lines of more than 64 KiB, are given out as without an order.
package struct QueueOrder: Sendable, Hashable {
    /// Tells where events of some types have their value.
    package struct Rule: Sendable, Hashable {
        /// The beginning of the types; empty for all.
        package let types: String
        /// The places of the value in the event, such as `payload.chat_id`; the first one that leads to a text or a number counts. Events
        /// of these types have no order if there is none.
        package let paths: [String]

        package init(types: String = "", paths: [String]) { (self.types, self.paths) = (types, paths) }
    }

    /// The rules, of which the first one for an event's type counts. Events that none is for have no order.
    package let rules: [Rule]
    /// The number of entries with one key that a worker has at a time, from 1 to 64.
    package let entriesPerKey: Int
    /// Is true if a worker takes further entries of a key only when it has finished those that it has.
    package let isInBatches: Bool

    package static let entriesPerKey = 1...64

    /// - Parameter isInBatches: false for a worker that keeps the order of the entries that it has.
    /// - Throws: `QueueError` (64), for a path or a beginning of types that is none.
    package init(rules: [Rule], entriesPerKey: Int, isInBatches: Bool) throws(QueueError) {
        func isWord(_ text: String) -> Bool {
            text.utf8.count <= 200 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ",") }
        }
        func isPath(_ path: String) -> Bool {
            isWord(path) && path.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty }
        }
        let paths = rules.flatMap(\.paths)
        guard !paths.isEmpty, paths.count <= 20, paths.allSatisfy(isPath), rules.allSatisfy({ isWord($0.types) }) else {
            throw QueueError(
                .invalidName,
                "an order is 1 to 20 paths such as payload.chat_id or meta.origin.chat_id, joined by commas")
        }
        self.rules = rules
        self.entriesPerKey = min(
            max(entriesPerKey, QueueOrder.entriesPerKey.lowerBound), QueueOrder.entriesPerKey.upperBound)
        self.isInBatches = isInBatches
    }

    /// The order of events of all types; see `init(rules:entriesPerKey:isInBatches:)`.
    package init(paths: [String], entriesPerKey: Int, isInBatches: Bool) throws(QueueError) {
        try self.init(rules: [Rule(paths: paths)], entriesPerKey: entriesPerKey, isInBatches: isInBatches)
    }

    /// The rules for `QueueScripts.take`: a line for each, with the types and the paths.
    var encoded: String {
        rules.map { "\($0.types)\t\($0.paths.joined(separator: ","))\n" }.joined()
    }

    /// Returns whether an event has a value by which it is ordered. A queue looks at no line of more than 64 KiB.
    package func hasKey(_ event: JSON) -> Bool {
        let type = event["type"]?.string ?? ""
        guard let rule = rules.first(where: { type.hasPrefix($0.types) }) else { return false }
        return rule.paths.contains { path in
            var value: JSON? = event
            for word in path.split(separator: ".") { value = value?[String(word)] }
            return value?.string.map { !$0.isEmpty } ?? (value?.double != nil)
        }
    }
}
