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
    private let passings = Passings()

    /// The choices of the user that concern commands.
    struct Choices: Sendable {
        var readsNewOnly = false
        var readsComments = false
        let progress: HistoryProgress
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
            let posts = Mutex<[Int32]>([])
            let facts = try await read(
                command.chat, username: command.chatUsername, bounds, accountID: command.accountID, context
            ) { found in
                posts.withLock { $0 += found }
            }
            guard bounds.from <= 1, bounds.to == nil, bounds.last == nil else { return .done([]) }
            if let group = facts.migratedFrom { try await readMore(.id(group.chatID), bounds, of: facts, context) }
            if choices.readsComments, facts.isBroadcast, let group = facts.linkedChatID {
                try await readMore(.id(group), bounds, of: facts, context) {
                    try await self.readComments(on: posts.withLock { $0 }, of: facts, context)
                }
            }
        } catch let error as HistoryFailure where error.code != .noAccountLeft {
            if error.code == .otherAccount, isFromQueue, let pause = passings.pause(for: "\(context.waiter)") {
                return .held(for: pause)
            }
            failures.add(1, ordering: .relaxed)
            // A queue retries the command, or moves it to its dead letters.
            if isFromQueue { throw error }
            runtime.log.error("unable to read \(command.chat): \(error.message)")
            return .givenUp([], reason: error.message)
        }
        return .done([])
    }

    private func read(
        _ chat: ChatID, username: String? = nil, _ bounds: HistoryBounds, accountID: Int64? = nil,
        _ context: WorkContext,
        commented: @escaping @Sendable ([Int32]) -> Void = { _ in }
    ) async throws -> ChatFacts {
        let start = ContinuousClock.now
        let progress = choices.progress.begin()
        defer { progress.end() }
        let facts = try await pool.read(chat, username: username, bounds, accountID: accountID) { lines in
            try await context.publisher.publish(lines)
        } onProgress: {
            progress.take($0)
            commented($0.commented)
        }
        let messages = progress.messages
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
    ///
    /// - Parameter otherwise: is done if no account can read the chat.
    private func readMore(
        _ chat: ChatID, _ bounds: HistoryBounds, of facts: ChatFacts, _ context: WorkContext,
        otherwise: (() async throws -> Void)? = nil
    ) async throws {
        do { _ = try await read(chat, bounds, context) } catch let error as HistoryFailure where error.code == .noAccess
        {
            let words = "\(facts.title): the chat \(chat), which belongs to it, is not read: \(error.message)"
            guard let otherwise else { return runtime.log.warning("\(words)") }
            runtime.log.notice("\(words); the comments of each post are read instead")
            try await otherwise()
        }
    }

    /// Reads the comments on posts through the channel.
    private func readComments(on posts: [Int32], of facts: ChatFacts, _ context: WorkContext) async throws {
        let progress = choices.progress.begin()
        defer { progress.end() }
        try await pool.readComments(of: .id(facts.id), posts: posts) { lines in
            try await context.publisher.publish(lines)
        } onProgress: {
            progress.take($0)
        }
        runtime.log.info(
            "read the comments of \(facts.title)",
            metadata: [
                "posts": .stringConvertible(posts.count), "messages": .stringConvertible(progress.messages),
            ])
    }
}

/// Counts how often this process has left a command of a queue to a process that has its account.
///
/// Which process takes a command is chance, so one pass is often not enough. A command that is passed on counts no attempt; otherwise
/// many processes with an account each would use up the attempts, and the growing pauses between them, before the right one has its
/// turn.
private final class Passings: Sendable {
    private static let passesPerAttempt = 20
    private static let mostCommands = 10_000
    private let counts = Mutex<[String: Int]>([:])

    /// Returns how long a command stays in the queue before any process takes it; nil if this attempt is to count, so that a command
    /// for an account that no process has ends as a dead letter.
    ///
    /// - Parameter command: the name of its waiter. Its id is no name: each reading gives a command without one a new id.
    func pause(for command: String) -> Duration? {
        counts.withLock { counts in
            let count = counts[command, default: 0]
            guard count < Passings.passesPerAttempt else {
                counts[command] = nil
                return nil
            }
            // A forgotten count only lets a command be passed on more often.
            if counts.count >= Passings.mostCommands { counts.removeAll() }
            counts[command] = count + 1
            // Chance keeps two processes from taking turns in step.
            return .milliseconds(Int.random(in: 50...250))
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
