import Queue
import Redis
import System
import TestSupport

extension QueueFixture {
    /// Returns a worker that keeps the order of the events of each chat.
    func orderedWorker(
        _ name: String, lease: Duration, perKey: Int, inBatches: Bool = false
    ) async throws -> QueueConsumer {
        try await consumer(
            name, lease: lease,
            order: QueueOrder(
                paths: ["payload.chat_id", "meta.origin.chat_id"], entriesPerKey: perKey, isInBatches: inBatches))
    }

    static func event(_ chat: String, _ number: Int) -> String {
        #"{"payload":{"chat_id":\#(chat),"n":\#(number)}}"#
    }

    func push(chat: Int, _ numbers: ClosedRange<Int>) async throws {
        for number in numbers { try await push(QueueFixture.event("\(chat)", number)) }
    }

    func push(contentsOf lines: [String]) async throws {
        let publisher = publisher("push")
        _ = try await redis.send("DEL", "tgpipe:{queues}:publisher:push")
        _ = try await publisher.publish(lines.map(line), as: publisher.begin())
    }
}

extension TakenEntry {
    /// The chat and the number of an event, such as `7.1`.
    var name: String {
        let words = text.split { !($0.isNumber || $0 == "-") }
        return words.count == 2 ? "\(words[0]).\(words[1])" : text
    }

    var chat: String { String(name.prefix { $0 != "." }) }
}
