import BotAPI
import JSON
import Stage

/// Makes the calls to Telegram only for events that this process still has: the last look before each call.
///
/// A process that was stopped, or cut off from Redis, for longer than the lease must not send what another process has taken over.
/// Between this look and a bot's call lies nothing that waits. A call of an account may wait behind it: for a connection, and for
/// repetitions of its own.
struct FencedAPI: MessagingAPI {
    /// The lease of the event that the current task handles; nil for events of pipes.
    @TaskLocal static var lease: WorkLease?

    private let api: any MessagingAPI

    init(_ api: any MessagingAPI) { self.api = api }

    var speakerID: Int64 { api.speakerID }
    var isAccount: Bool { api.isAccount }

    func uploadLimit() async throws(TelegramError) -> Int64 { try await api.uploadLimit() }

    func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, deadline: Duration
    ) async throws(TelegramError) -> JSON {
        try await checkLease()
        return try await api.call(method, parameters, messageKey: messageKey, deadline: deadline)
    }

    func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, uploads: [MediaUpload]
    ) async throws(TelegramError) -> JSON {
        try await checkLease()
        return try await api.call(method, parameters, messageKey: messageKey, uploads: uploads)
    }

    func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?) {
        try await api.file(fileID)
    }

    /// - Throws: `notMade`, which callers pass on as it is: `Sender` drops the event, and changes nothing for the process that has it now.
    private func checkLease() async throws(TelegramError) {
        guard let lease = FencedAPI.lease else { return }
        // Without an answer from Redis, the lease counts as lost.
        if (try? await lease.isHeld()) != true {
            throw TelegramError(.notMade, "another process has taken over the event")
        }
    }
}
