/// Tells by which value of an event a queue is ordered.
///
/// Entries whose events have the same value are given out in the order of the queue, to one worker at a time: the next one only when all
/// earlier ones are finished, or in the hands of the same worker. An entry that is retried keeps those behind it waiting, and one
/// that is held does not. Events without such a value, and lines of more than 1 MiB, are given out as without an order.
package struct QueueOrder: Sendable, Hashable {
    /// The places of the value in the event, such as `payload.chat_id`; the first one that leads to a text or a number counts.
    package let paths: [String]
    /// The types of events that need no order and wait behind nothing.
    package var typesWithoutOrder: [String] = []
    /// The number of entries with one key that a worker has at a time, from 1 to 64.
    package let entriesPerKey: Int
    /// Is true if a worker takes further entries of a key only when it has finished those that it has.
    package let isInBatches: Bool

    package static let entriesPerKey = 1...64

    /// - Parameter isInBatches: false for a worker that keeps the order of the entries that it has.
    /// - Throws: `QueueError` (64), for a path that is none.
    package init(paths: [String], entriesPerKey: Int, isInBatches: Bool) throws(QueueError) {
        func isPath(_ path: String) -> Bool {
            path.utf8.count <= 200 && !path.utf8.contains(UInt8(ascii: ","))
                && path.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty }
        }
        guard !paths.isEmpty, paths.count <= 10, paths.allSatisfy(isPath) else {
            throw QueueError(
                .invalidName,
                "an order is 1 to 10 paths such as payload.chat_id or meta.origin.chat_id, joined by commas")
        }
        self.paths = paths
        self.entriesPerKey = min(
            max(entriesPerKey, QueueOrder.entriesPerKey.lowerBound), QueueOrder.entriesPerKey.upperBound)
        self.isInBatches = isInBatches
    }
}
