import Envelope
import JSON
import Logging
import Stage

/// Emits updates, and keeps together with each how far the listener has come.
struct ListenOutput {
    let runtime: Runtime
    let output: EventOutput
    let progress: any ProgressStore

    /// With a queue, and the progress in the same Redis, the update and the progress behind it are one step.
    ///
    /// - Parameter about: what the log says beside how long it took.
    func emit(_ envelope: Envelope, _ text: String, since receivedAt: Timestamp, updateID: Int64) async throws {
        try await runtime.handling(envelope) {
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

    /// Nothing is emitted, but the listener has come further.
    func settle(_ text: String) async throws {
        try progress.note(text)
        try await progress.save(text)
    }
}
