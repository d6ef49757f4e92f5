import Blob
import Envelope
import JSON
import Logging
import Payloads
import Stage
import System

/// Removes the objects that `commands.blob.remove` names.
struct Removal: Sendable {
    let log: Logger
    let store: any BlobStore
    /// If true, transient failures return to the queue for a later attempt.
    let isFromQueue: Bool
    let outages: Outages
    /// The time for which a command is carried out.
    private static let validity = Duration.seconds(3600)

    /// - Throws: `MalformedInput` for a command that names no object, and `BlobError` for a failure that may pass.
    func handle(_ event: Envelope) async throws -> Outcome {
        let command = try RemoveBlob(event)
        guard command.store == store.name else {
            return refused(command, "the object is in \(command.store.printable), and this is \(store.name)")
        }
        // What was unused when the command was made may be in use by now.
        if let planned = Timestamp(event.timestamp),
            Timestamp.now.elapsed(since: planned) >= Removal.validity
        {
            return refused(command, "the command is older than \(Removal.validity.spanText): make it anew")
        }
        do {
            guard isFromQueue else { return try await remove(command) }
            return try await outages.riding { try await remove(command) }
        } catch let error as BlobError where !error.isTransient {
            return refused(command, error.message)
        }
    }

    private func remove(_ command: RemoveBlob) async throws -> Outcome {
        let info = try await store.head(command.key)
        if let info, let wanted = command.sha256, info.metadata.sha256 != wanted {
            return refused(command, "it is not the object that was to be removed: its SHA-256 is another one")
        }
        if info != nil {
            try await store.delete(command.key)
            log.info("removed \(command.key.printable)")
        }
        return .done([.derived(BlobRemoved(store: store.name, key: command.key, existed: info != nil))])
    }

    private func refused(_ command: RemoveBlob, _ reason: String) -> Outcome {
        log.error("\(command.key.printable) is not removed: \(reason)")
        return .givenUp([], reason: reason)
    }
}
