import Envelope
import JSON
import Logging
import Stage

/// Emits updates, and saves the listener's position together with each.
struct ListenOutput {
    let runtime: Runtime
    let output: EventOutput
    let progress: any ProgressStore

    /// Emits an update, then saves the position after it. If the output is a queue and the position is in the same Redis, both are one
    /// transaction.
    ///
    /// - Parameters:
    ///   - text: the position.
    ///   - receivedAt: the time of the update's arrival, for the log.
    func emit(_ envelope: Envelope, _ text: String, since receivedAt: Timestamp, updateID: Int64) async throws {
        try await runtime.creating(envelope) { envelope in
            try await keep(envelope, text)
            let elapsed = Timestamp.now.elapsed(since: receivedAt)
            runtime.log.info(
                "dispatched",
                metadata: [
                    "update_id": .stringConvertible(updateID),
                    "dispatch_ms": .stringConvertible((elapsed.seconds * 1_000_000).rounded() / 1000),
                ])
        }
    }

    private func keep(_ envelope: Envelope, _ text: String) async throws {
        if let key = progress.redisKey, try await output.publish(envelope, settingKey: key, to: text) { return }
        try await output.write(envelope) { try progress.note(text) }
        try await progress.save(text)
    }

    /// Saves a position that has advanced without an emitted update.
    func settle(_ text: String) async throws {
        try progress.note(text)
        try await progress.save(text)
    }
}
