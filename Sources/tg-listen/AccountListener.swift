import System
import Accounts
import Envelope
import JSON
import Logging
import Payloads
import Stage
import Updates

/// Emits each update of an account once. Updates that arrive together are emitted in batches.
actor AccountListener: UpdateSink {
    private let account: any Account
    private let output: ListenOutput
    private let shaper: BotShaper
    private let attachesTL: Bool
    /// The position after the batch. Its `emitted` are updates that the output has beyond the rest of the position.
    private var progress: AccountProgress
    /// The position that was saved last.
    private var saved: AccountProgress
    private var batch = UpdateBatch()
    /// The keys of the updates of the batch.
    private var keys: [String] = []
    /// The state of the position, if one was saved since the last flush.
    private var stored: UpdateState?
    private var username: String?

    /// Loads the saved progress.
    ///
    /// - Parameter file: the path of the output, when it is a regular file.
    /// - Throws: `ToolError` (78) when the saved progress is not this account's.
    init(
        _ account: any Account, _ output: ListenOutput, allowed: [String], attachesTL: Bool, file: String?
    ) async throws {
        (self.account, self.output, self.attachesTL) = (account, output, attachesTL)
        shaper = BotShaper(account, wanted: allowed)
        let id = account.userID
        var progress =
            try await output.progress.load().map { try AccountProgress($0, accountID: id) }
            ?? AccountProgress(accountID: id)
        if !progress.batch.isEmpty {
            // A kill came in the midst of a batch. The next batch needs the count.
            progress.endBatch(emitted: output.progress.emitted(of: progress.revision))
            progress.revision += 1
            try output.progress.note(progress.text)
        }
        if let file {
            let known = progress.updateID
            let beyond = LastEmitted.updates(in: file, of: \.account, id) { $0 > known }
            progress.emitted.formUnion(beyond.compactMap { AccountListener.key(kind: $0.kind, $0.body) })
            progress.updateID = beyond.first?.updateID ?? known
        }
        (self.progress, saved) = (progress, progress)
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
        // No update is missing, so none of the emitted ones will come again.
        (progress.emitted, saved.emitted) = ([], [])
        output.runtime.log.info(
            "listening",
            metadata: [
                "account": "\(username ?? "\(account.userID)")", "update_id": .stringConvertible(progress.updateID),
            ])
    }

    func take(_ emissions: [Emission]) async throws {
        let receivedAt = Timestamp.now
        for emission in emissions {
            // Updates do not wait for a request to Telegram that a later one needs.
            if !batch.isEmpty, await shaper.needsRequest(for: emission) { try await save() }
            try await add(emission, receivedAt)
            // Without a saved state there is none that could name the updates of a batch.
            if batch.lines.count >= (saved.state == nil ? 1 : output.mostUpdates)
                || batch.sizeBytes >= ListenOutput.mostBytes
            {
                try await save()
            }
        }
    }

    private func add(_ emission: Emission, _ receivedAt: Timestamp) async throws {
        guard let shape = try await shaper.shape(emission) else {
            progress.state = emission.state
            return
        }
        let body = shape.body
        let key = AccountListener.key(kind: shape.kind, body)
        if let key, progress.emitted.remove(key) != nil {
            progress.state = emission.state
            return
        }
        // Telegram does not call messages to oneself outgoing.
        let isOwn = shape.isOutgoing || body["from"]?["id"]?.int == account.userID
        var isSentByProgram: Bool?
        if isOwn, let message = emission.update["message"] {
            // The answer may have to wait for the call that sent the message.
            try await save()
            isSentByProgram = try await account.sentByProgram(message)
        }
        progress.state = emission.state
        progress.updateID += 1
        var envelope = Envelope(
            TelegramUpdate(
                updateID: progress.updateID, kind: shape.kind, body: body,
                counters: emission.update["message"].flatMap { PageShape.counters(of: $0) },
                pts: emission.update["pts"]?.int ?? emission.readAtPTS, tl: attachesTL ? emission.update : nil))
        envelope.receivedAt = receivedAt
        envelope.account = EventReceiver(id: account.userID, username: username)
        envelope.isOutgoing = shape.isOutgoing
        if let isSentByProgram { envelope.isSentByProgram = isSentByProgram }
        batch.add(envelope, updateID: progress.updateID, since: receivedAt, output.runtime.tracer)
        keys.append(key ?? "")
    }

    func flush() async throws -> UpdateState? {
        try await save()
        defer { stored = nil }
        return stored
    }

    /// Emits the updates of the batch, and saves the position after them.
    private func save() async throws {
        guard !batch.isEmpty else { return }
        var before = saved
        before.revision += 1
        before.batch = keys
        var after = progress
        after.revision = before.revision + 1
        let namesBatch = output.namesBatches && keys.count > 1
        let emitted = batch
        (batch, keys) = (UpdateBatch(), [])
        try await output.emit(
            emitted,
            ListenOutput.Positions(before: namesBatch ? (before.text, before.revision) : nil, after: after.text))
        progress.revision = after.revision
        (saved, stored) = (after, after.state)
    }

    func settle(_ state: UpdateState) async throws {
        progress.state = state
        progress.revision = saved.revision + 1
        progress.emitted = []
        try await output.settle(progress.text)
        saved = progress
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

    /// Returns a text that is the same for an update that is received twice; nil for a kind that Telegram does not send again.
    private static func key(kind: String, _ body: JSON) -> String? {
        guard kind != "message_reaction_count" else { return nil }
        let ids = (body["message_ids"]?.array ?? [body["message_id"] ?? .null]).map(\.text).joined(separator: ",")
        // The date of the edit distinguishes edits. A new message keeps its key when it is edited later.
        let edit = kind.hasPrefix("edited_") ? body["edit_date"]?.int ?? 0 : 0
        return "\(kind) \(body["chat"]?["id"]?.int ?? 0) \(ids) \(edit)"
    }
}
