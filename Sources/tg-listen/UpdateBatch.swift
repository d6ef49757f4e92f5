import Envelope
import JSON
import Logging
import Stage
import System
import Tracing

/// Updates that are emitted together, as lines in their order.
struct UpdateBatch {
    private struct Item {
        let handling: Handling
        let updateID: Int64
        let receivedAt: Timestamp
    }

    private(set) var lines: [[UInt8]] = []
    private(set) var sizeBytes = 0
    private var items: [Item] = []

    var isEmpty: Bool { lines.isEmpty }

    /// Adds an update, whose making begins. `end` must follow.
    ///
    /// - Parameter receivedAt: the time of the update's arrival, for the log.
    mutating func add(_ envelope: Envelope, updateID: Int64, since receivedAt: Timestamp, _ tracer: Tracer) {
        let (handling, event) = tracer.beginCreating(envelope)
        let line = event.line
        lines.append(line)
        sizeBytes += line.count
        items.append(Item(handling: handling, updateID: updateID, receivedAt: receivedAt))
    }

    /// Ends the making of all updates, after they have been emitted.
    func end(_ log: Logger) {
        let now = Timestamp.now
        for item in items {
            item.handling.step {
                let elapsed = now.elapsed(since: item.receivedAt)
                log.info(
                    "dispatched",
                    metadata: [
                        "update_id": .stringConvertible(item.updateID),
                        "dispatch_ms": .stringConvertible((elapsed.seconds * 1_000_000).rounded() / 1000),
                    ])
            }
            item.handling.end(.done)
        }
    }

    /// Ends the making of all updates, which could not be emitted.
    func end(_ error: any Error) {
        for item in items { item.handling.end(HandlingOutcome(error), error: error) }
    }
}
