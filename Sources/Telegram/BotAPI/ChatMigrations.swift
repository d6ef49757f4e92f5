import JSON
import Synchronization

/// Groups that turned out to have become supergroups, under other ids, since the process started.
final class ChatMigrations: Sendable {
    private static let mostKept = 10_000

    private let newIDs = Mutex<[Int64: Int64]>([:])
    private let onMigration: @Sendable (Int64, Int64) -> Void

    init(_ onMigration: @escaping @Sendable (Int64, Int64) -> Void) { self.onMigration = onMigration }

    /// Makes a call for the chat that its `chat_id` means by now; once more when only the answer tells which that is.
    func following(
        _ parameters: JSONObject, _ call: (JSONObject) async throws(TelegramError) -> JSON
    ) async throws(TelegramError) -> JSON {
        guard let chatID = parameters["chat_id"]?.int else { return try await call(parameters) }
        var parameters = parameters
        if let known = newIDs.withLock({ $0[chatID] }) { parameters["chat_id"] = .integer(known) }
        do {
            return try await call(parameters)
        } catch {
            guard let newID = error.migratedTo else { throw error }
            note(chatID, newID)
            parameters["chat_id"] = .integer(newID)
            return try await call(parameters)
        }
    }

    private func note(_ chatID: Int64, _ newID: Int64) {
        newIDs.withLock { newIDs in
            if newIDs.count >= ChatMigrations.mostKept { newIDs = [:] }
            newIDs[chatID] = newID
        }
        onMigration(chatID, newID)
    }
}
