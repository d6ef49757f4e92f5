import JSON
import Synchronization

/// Remembers groups that have become supergroups, which have new ids, since the process started.
final class ChatMigrations: Sendable {
    /// Beyond this number of groups all are forgotten, and found again.
    private static let maxGroups = 10_000

    private let newIDs = Mutex<[Int64: Int64]>([:])
    private let onMigration: @Sendable (Int64, Int64) -> Void

    init(_ onMigration: @escaping @Sendable (Int64, Int64) -> Void) { self.onMigration = onMigration }

    /// Makes a call to the chat's present id. If Telegram answers with a new id, the call is repeated once with that
    /// id.
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
            if newIDs.count >= ChatMigrations.maxGroups { newIDs = [:] }
            newIDs[chatID] = newID
        }
        onMigration(chatID, newID)
    }
}
