import ArgumentParser
import Envelope
import JSON
import Payloads
import Options
import Queue
import Stage
import System

struct Peek: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "peek",
        abstract: "Show the events of a queue, the oldest first, without taking them.",
        discussion: """
            Prints the envelopes unchanged. With --dead it prints the queue's dead letters as events.dead_letter, each with the \
            line, the reason, the number of attempts, and payload.entry, which 'redrive' takes. With --pending it prints the events \
            that the workers of a group have taken and not finished, as lines of JSON. The exit status is 1 if there is no such queue.
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("The number of events, at most; 0 for all.", valueName: "n"))
    var count: Int = 10

    @Flag(help: "Show the dead letters.") var dead = false

    @Option(help: ArgumentHelp("Show the unfinished events of this group.", valueName: "group"))
    var pending: String?

    func validate() throws {
        guard !dead || pending == nil else { throw ValidationError("--dead and --pending exclude each other") }
        guard count >= 0 else { throw ValidationError("--count must be 0 or more") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let redis = try await runtime.redis()
        try await check(queue.name, redis)
        let admin = QueueAdmin(queue.name, redis: redis)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        var left = count == 0 ? Int.max : count
        if let pending {
            for entry in try await admin.pending(group: pending, limit: min(left, 100_000)) {
                try await output.write(JSON.object(entry.json).bytes + [UInt8(ascii: "\n")])
            }
            return .success
        }
        // The call also trims events that every group has acknowledged.
        _ = try await admin.stats()
        var last: String?
        while left > 0 {
            let page = try await admin.entries(dead: dead, after: last, limit: min(left, 100))
            guard !page.isEmpty, !runtime.shutdown.isRequested else { break }
            for entry in page {
                try await output.write(
                    dead ? entry.deadLetter(of: queue.name).line : entry.line + [UInt8(ascii: "\n")])
            }
            last = page.last?.id
            left -= page.count
        }
        return .success
    }
}

extension QueueAdmin.Entry {
    /// Returns the entry as an event that also names its queue, group and worker.
    fileprivate func deadLetter(of queue: QueueName) -> Envelope {
        let parsed = try? Envelope(JSON(parsing: line))
        let letter = DeadLetter(
            line: line, code: text("code") ?? "failed", reason: text("reason") ?? "", tool: text("tool") ?? "unknown",
            queue: DeadLetter.QueueEntry(
                queue: queue.text, entry: id, group: text("group"), worker: text("worker"),
                attempts: text("attempts").flatMap { Int64($0) },
                failedAt: Timestamp(milliseconds: milliseconds)))
        return Envelope(letter, correlationID: parsed?.correlationID ?? EventID())
    }
}

extension QueueAdmin.Pending {
    fileprivate var json: JSONObject {
        [
            "entry": .string(entry.id), "state": .string(state.rawValue), "worker": worker.map { .string($0) },
            "attempts": .integer(Int64(attempts)),
            "due": dueMilliseconds.map { .string(Timestamp(milliseconds: $0).description) },
            "last_failure": lastFailure.map { .string($0) },
            "event": (try? JSON(parsing: entry.line)) ?? .string(String(decoding: entry.line, as: UTF8.self)),
        ]
    }
}
