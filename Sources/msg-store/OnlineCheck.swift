import Archive
import Envelope
import JSON
import Payloads
import Process
import Stage
import Synchronization
import System

/// Asks Telegram again for some of what the archive has, by running tg-history, and tells what differs.
struct OnlineCheck: Sendable {
    /// The number of messages that tg-history reads with one call of Telegram, less one for the call to begin with.
    private static let messagesOfCall: Int64 = 99

    let sessions: [String]
    let stateFolder: String?
    /// The number of messages of each chat that are asked for again.
    let sample: Int64

    /// Returns the answers about chats, of which some messages are chosen at random.
    ///
    /// - Throws: `ToolError` with tg-history's exit status, if it cannot ask Telegram at all.
    func ask(_ inspections: [ChatInspection], _ reader: ArchiveReader, _ runtime: Runtime) async throws -> Answers {
        let sample = sample
        let commands = try await BlockingThread.oncePassingErrors {
            try inspections.flatMap { try OnlineCheck.commands(for: $0, reader, sample: sample) }
        }
        let answers = Answers()
        guard !commands.isEmpty else { return answers }
        let state = stateFolder.map { ["--state-dir", $0] } ?? []
        let arguments = ["tg-history"] + state + sessions.flatMap { ["--session", $0] }
        // This program contains all tools. Its file may have been replaced since it was started.
        var run = ChildRun(Command("/proc/self/exe", arguments), timeout: .seconds(30 * 86_400))
        run.input = commands.flatMap { Envelope($0).line }
        run.keepsErrors = false
        run.maxOutputBytes = .max
        let child = run
        let exit = try await runtime.shutdown.interrupting {
            do throws(ChildProcess.Failure) {
                return try await child.run(onLine: answers.take)
            } catch {
                throw ToolError(.unavailable, "unable to run tg-history: \(error)")
            }
        }
        guard !answers.isTorn else { throw ToolError(.bug, "tg-history has written what is no event") }
        switch exit?.cause {
        case .ended(.exited(0)), .ended(.exited(ExitStatus.no.rawValue)): return answers
        case .ended(.exited(let status)):
            throw ToolError(ExitStatus(rawValue: status) ?? .unavailable, "tg-history could not ask Telegram")
        case .ended(.signalled(let number)): throw ToolError(.unavailable, "tg-history was ended by signal \(number)")
        case .overdue, .flooded: throw ToolError(.unavailable, "tg-history did not end")
        case .cancelled, nil: throw CancellationError()
        }
    }

    private static func commands(
        for inspection: ChatInspection, _ reader: ArchiveReader, sample: Int64
    ) throws -> [HistoryCommand] {
        let (chat, owner) = (ChatID.id(inspection.chat.chatID), inspection.chat.ownerID)
        let account = owner == 0 ? nil : owner
        // The newest message, which also tells the number of all.
        var commands = [HistoryCommand(chat, accountID: account, last: 1)]
        // Of a group that no account can read, only comments are there.
        if inspection.commentsOf != nil { return [] }
        guard inspection.top > 0 else { return commands }
        if sample >= inspection.messages {
            return commands + [HistoryCommand(chat, accountID: account, fromID: 1, toID: inspection.top)]
        }
        var left = sample
        while left > 0 {
            let count = min(left, messagesOfCall)
            left -= count
            // The first and the last messages are as likely as all others.
            let start = max(1, Int64.random(in: (2 - count)...inspection.top))
            guard let span = try reader.span(of: count, from: start, inspection.chat) else { continue }
            commands.append(HistoryCommand(chat, accountID: account, fromID: span.from, toID: span.to))
        }
        return commands
    }

    // MARK: Answers

    /// Collects what Telegram tells of chats now.
    final class Answers: Sendable {
        struct Chat {
            var total: Int64?
            var newestID: Int64?
            var messages: [Int64: ComparedMessage] = [:]
            /// The spans of which all messages are known.
            var spans: [IDSpan] = []
        }

        private let chats = Mutex<[ChatKey: Chat]>([:])
        private let hasTornLine = Atomic(false)

        /// Is true if a line was no event. A message in it would seem to be deleted.
        var isTorn: Bool { hasTornLine.load(ordering: .relaxed) }

        subscript(chat: ChatKey) -> Chat? { chats.withLock { $0[chat] } }

        /// Takes a line of tg-history's output.
        @Sendable func take(_ line: String) {
            guard let event = (try? JSON(parsing: line)).flatMap({ try? Envelope($0) }) else {
                return hasTornLine.store(true, ordering: .relaxed)
            }
            if let range = try? HistoryRange(event.payload), event.type == HistoryRange.type {
                guard let id = range.chat["id"]?.int else { return }
                chats.withLock { chats in
                    var chat = chats[ChatKey(id, ownerID: range.ownerID)] ?? Chat()
                    chat.total = range.total ?? chat.total
                    chat.newestID = [chat.newestID, range.newestID].compactMap { $0 }.max()
                    chat.spans.append(IDSpan(from: range.fromID, to: range.toID))
                    chats[ChatKey(id, ownerID: range.ownerID)] = chat
                }
            } else if event.type == HistoryMessage.type, let message = try? HistoryMessage(event.payload) {
                take(message.body, account: event.account?.id ?? 0)
            }
        }

        private func take(_ message: JSON, account: Int64) {
            guard let id = message["message_id"]?.int, let chatID = message["chat"]?["id"]?.int else { return }
            let isShared = ["channel", "supergroup"].contains(message["chat"]?["type"]?.string)
            let text = (message["text"] ?? message["caption"])?.string
            let told = ComparedMessage(
                editDate: message["edit_date"]?.int, text: text?.storable)
            chats.withLock { chats in
                chats[ChatKey(chatID, ownerID: isShared ? 0 : account), default: Chat()].messages[id] = told
            }
        }
    }
}

/// The differences between a chat at Telegram and in the archive.
struct OnlineDifference: Sendable {
    /// Is false if Telegram did not answer.
    var isAnswered = false
    /// The number of messages that were compared.
    var compared = 0
    /// The numbers of messages, where they differ.
    var totals: (told: Int64, stored: Int64)?
    /// The highest ids, where Telegram's is higher.
    var newest: (told: Int64, stored: Int64)?
    /// Messages that the archive lacks, that Telegram no longer has, and that were edited since, in order.
    var missing: [Int64] = []
    var gone: [Int64] = []
    var changed: [Int64] = []

    var isNone: Bool {
        isAnswered && totals == nil && newest == nil && missing.isEmpty && gone.isEmpty && changed.isEmpty
    }

    /// Compares a chat with what Telegram has just told.
    init(_ inspection: ChatInspection, _ answer: OnlineCheck.Answers.Chat?, _ reader: ArchiveReader) throws {
        if inspection.commentsOf != nil { isAnswered = true }
        guard let answer, !answer.spans.isEmpty else { return }
        isAnswered = true
        let stored = try reader.existingMessages(of: inspection.chat)
        if let told = answer.total, told != stored { totals = (told, stored) }
        if let told = answer.newestID, told > inspection.top { newest = (told, inspection.top) }
        var seen: Set<Int64> = []
        for span in answer.spans {
            let here = try reader.messages(in: span, of: inspection.chat)
            let there = answer.messages.filter { $0.key >= span.from && $0.key <= span.to }
            for id in Set(here.keys).union(there.keys) where seen.insert(id).inserted {
                switch (here[id], there[id]) {
                case (nil, _): missing.append(id)
                case (_, nil): gone.append(id)
                case (let old?, let new?): if old != new { changed.append(id) }
                }
            }
        }
        compared = seen.count
        missing.sort()
        gone.sort()
        changed.sort()
    }

    /// The differences as lines of a report.
    var lines: [String] {
        guard isAnswered else { return ["  Telegram did not answer: see the log"] }
        var lines: [String] = []
        if let newest { lines.append("  the newest message is \(newest.told) at Telegram, and \(newest.stored) here") }
        if let totals { lines.append("  Telegram tells of \(totals.told) messages, \(totals.stored) are stored") }
        for (words, ids) in [("not stored", missing), ("deleted at Telegram", gone), ("edited at Telegram", changed)]
        where !ids.isEmpty {
            let shown = ids.prefix(20).map { "\($0)" }.joined(separator: ", ")
            lines.append("  \(words): \(shown)\(ids.count > 20 ? ", and \(ids.count - 20) more" : "")")
        }
        return lines
    }

    var json: JSON {
        func list(_ ids: [Int64]) -> JSON { .array(ids.map { .integer($0) }) }
        func pair(_ pair: (told: Int64, stored: Int64)?) -> JSON? {
            pair.map { .object(["told": .integer($0.told), "stored": .integer($0.stored)]) }
        }
        return .object([
            "answered": .bool(isAnswered), "compared": .integer(Int64(compared)), "totals": pair(totals),
            "newest_ids": pair(newest), "missing": list(missing), "deleted": list(gone), "edited": list(changed),
        ])
    }
}
