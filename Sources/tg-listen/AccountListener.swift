import System
import Accounts
import Envelope
import JSON
import Logging
import Payloads
import Stage
import Updates

/// Emits each update of an account once.
actor AccountListener: UpdateSink {
    private let account: any Account
    private let output: ListenOutput
    private let shaper: BotShaper
    private let attachesTL: Bool
    private var progress: AccountProgress
    private var username: String?
    /// The keys of updates that the output file holds beyond the saved progress.
    private var emitted: Set<String> = []

    /// Loads the saved progress.
    ///
    /// - Parameter file: the path of the output, when it is a file.
    /// - Throws: `ToolError` (78) when the saved progress is not this account's.
    init(
        _ account: any Account, _ output: ListenOutput, allowed: [String], attachesTL: Bool, file: String?
    ) async throws {
        (self.account, self.output, self.attachesTL) = (account, output, attachesTL)
        shaper = BotShaper(account, wanted: allowed)
        let id = account.userID
        progress =
            try await output.progress.load().map { try AccountProgress($0, accountID: id) }
            ?? AccountProgress(accountID: id)
        guard let file else { return }
        let known = progress.updateID
        let beyond = LastEmitted.updates(in: file, of: \.account, id) { $0 > known }
        emitted = Set(beyond.map { AccountListener.key(kind: $0.kind, $0.body) })
        progress.updateID = beyond.first?.updateID ?? known
    }

    /// Runs until the shutdown is requested.
    ///
    /// - Parameter once: whether to end as soon as no update is missing.
    func run(once: Bool) async throws {
        ServiceManager.reportReady()
        username = try await account.peer(account.userID)?["username"]?.string
        try await UpdateFeed(account: account, runtime: output.runtime).run(
            from: progress.state, once: once, into: self)
    }

    func begin() {
        output.runtime.log.info(
            "listening",
            metadata: [
                "account": "\(username ?? "\(account.userID)")", "update_id": .stringConvertible(progress.updateID),
            ])
    }

    func emit(_ emission: Emission) async throws -> Bool {
        let receivedAt = Timestamp.now
        progress.state = emission.state
        guard let shape = try await shaper.shape(emission) else { return false }
        let body = shape.body
        if emitted.remove(AccountListener.key(kind: shape.kind, body)) != nil { return false }
        progress.updateID += 1
        progress.revision += 1
        var envelope = Envelope(
            TelegramUpdate(
                updateID: progress.updateID, kind: shape.kind, body: body,
                counters: emission.update["message"].flatMap { PageShape.counters(of: $0) },
                pts: emission.update["pts"]?.int ?? emission.readAtPTS, tl: attachesTL ? emission.update : nil))
        envelope.receivedAt = receivedAt
        envelope.account = EventReceiver(id: account.userID, username: username)
        envelope.isOutgoing = shape.isOutgoing
        // Telegram does not call messages to oneself outgoing.
        let isOwn = shape.isOutgoing || body["from"]?["id"]?.int == account.userID
        if isOwn, let message = emission.update["message"] {
            envelope.isSentByProgram = try await account.sentByProgram(message)
        }
        try await output.emit(envelope, progress.text, since: receivedAt, updateID: progress.updateID)
        return true
    }

    func settle(_ state: UpdateState) async throws {
        progress.state = state
        progress.revision += 1
        emitted = []
        try await output.settle(progress.text)
    }

    func note(_ hole: UpdateHole) async throws {
        let isShared = hole.chatID != nil
        let event = HistoryHole(
            accountID: account.userID, ownerID: isShared ? 0 : account.userID, chatID: hole.chatID, fromID: 1,
            toID: hole.to, reason: hole.reason.rawValue, pts: hole.pts)
        try await output.output.write([Envelope(event)])
    }

    func wait(_ wait: FloodWait) async {
        output.runtime.log.notice("\(wait.method): Telegram demands a wait of \(wait.remaining.spanText)")
        do { try await output.output.write([wait.event(account: account.userID)]) } catch {
            output.runtime.log.error("unable to emit an event for the wait: \(error)")
        }
    }

    /// Returns a text that is the same for an update that is received twice.
    private static func key(kind: String, _ body: JSON) -> String {
        let ids = (body["message_ids"]?.array ?? [body["message_id"] ?? .null]).map(\.text).joined(separator: ",")
        // The date of the edit distinguishes edits. A new message keeps its key when it is edited later.
        let edit = kind.hasPrefix("edited_") ? body["edit_date"]?.int ?? 0 : 0
        return "\(kind) \(body["chat"]?["id"]?.int ?? 0) \(ids) \(edit)"
    }
}
