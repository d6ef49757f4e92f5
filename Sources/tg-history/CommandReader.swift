import Envelope
import History
import JSON
import Logging
import Payloads
import Stage
import Synchronization
import System

/// Answers commands with the messages that they ask for.
final class CommandReader: Sendable {
    private let runtime: Runtime
    private let pool: HistoryPool
    private let isFromQueue: Bool
    private let choices: Choices
    private let failures = Atomic(0)

    /// The choices of the user that concern commands.
    struct Choices: Sendable {
        var readsNewOnly = false
        var readsComments = false
        let progress: ProgressBar
    }

    init(runtime: Runtime, pool: HistoryPool, isFromQueue: Bool, _ choices: Choices) {
        (self.runtime, self.pool, self.isFromQueue, self.choices) = (runtime, pool, isFromQueue, choices)
    }

    /// Is true if a command could not be answered.
    var hasFailures: Bool { failures.load(ordering: .relaxed) > 0 }

    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let command = try HistoryCommand(event)
        let bounds = try HistoryBounds(command)
        // What is new has no upper bound yet.
        if choices.readsNewOnly, command.toID != nil { return .done([]) }
        do {
            let facts = try await read(command.chat, bounds, accountID: command.accountID, context)
            guard bounds.from <= 1, bounds.to == nil, bounds.last == nil else { return .done([]) }
            if let group = facts.migratedFrom { try await readMore(.id(group.chatID), bounds, of: facts, context) }
            if choices.readsComments, facts.isBroadcast, let group = facts.linkedChatID {
                try await readMore(.id(group), bounds, of: facts, context)
            }
        } catch let error as HistoryFailure where error.code != .noAccountLeft {
            failures.add(1, ordering: .relaxed)
            // A queue retries the command, or moves it to its dead letters.
            if isFromQueue { throw error }
            runtime.log.error("unable to read \(command.chat): \(error.message)")
            return .givenUp([], reason: error.message)
        }
        return .done([])
    }

    private func read(
        _ chat: ChatID, _ bounds: HistoryBounds, accountID: Int64? = nil, _ context: WorkContext
    ) async throws -> ChatFacts {
        let start = ContinuousClock.now
        let count = Atomic<Int64>(0)
        defer { choices.progress.clear() }
        let facts = try await pool.read(chat, bounds, accountID: accountID) { lines in
            try await context.publisher.publish(lines)
        } counting: {
            count.add($0, ordering: .relaxed)
        }
        let messages = count.load(ordering: .relaxed)
        let seconds = max((ContinuousClock.now - start).seconds, 0.001)
        runtime.log.info(
            "read \(facts.title)",
            metadata: [
                "chat": .stringConvertible(facts.id), "messages": .stringConvertible(messages),
                "seconds": .stringConvertible((seconds * 1000).rounded() / 1000),
                "messages_per_minute": .stringConvertible(Int64(Double(messages) / seconds * 60)),
            ])
        return facts
    }

    /// Reads a chat that belongs to another one: the group that a supergroup was, or the group with a channel's comments.
    private func readMore(
        _ chat: ChatID, _ bounds: HistoryBounds, of facts: ChatFacts, _ context: WorkContext
    ) async throws {
        do { _ = try await read(chat, bounds, context) } catch let error as HistoryFailure where error.code == .noAccess
        {
            runtime.log.warning("\(facts.title): the chat \(chat), which belongs to it, is not read: \(error.message)")
        }
    }
}

extension HistoryBounds {
    /// - Throws: `MalformedInput` for bounds that select nothing.
    init(_ command: HistoryCommand) throws(MalformedInput) {
        func malformed(_ reason: String) -> MalformedInput {
            MalformedInput(.invalidPayload, "\(HistoryCommand.type): \(reason)")
        }
        func seconds(_ text: String?, _ key: String) throws(MalformedInput) -> Int64? {
            guard let text else { return nil }
            guard let time = Timestamp(text) else { throw malformed("\(key) is not a time in RFC 3339") }
            return time.microseconds / 1_000_000
        }
        if let first = command.fromID, first < 1 { throw malformed("from_id must be 1 or more") }
        if let last = command.toID, last < command.fromID ?? 1 { throw malformed("to_id is less than from_id") }
        if let count = command.last, count < 1 { throw malformed("last must be 1 or more") }
        self.init(
            from: command.fromID ?? 1, to: command.toID, since: try seconds(command.since, "since"),
            until: try seconds(command.until, "until"), last: command.last)
    }
}
