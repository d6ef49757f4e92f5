package import ArgumentParser
import Queue
import Redis
import Stage
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = EvQueue.self

struct EvQueue: AsyncParsableCommand {
    static let toolName = "ev-queue"

    static let configuration = CommandConfiguration(
        commandName: toolName,
        abstract: "Manage durable queues of envelopes in Redis: submit, work, inspect, repair.",
        discussion: """
            Every tool of tgpipe can read from and write to queues (--from queue:NAME, --to queue:NAME). This tool serves shells, \
            programs without support for queues, and inspection. A queue exists once an event has been put into it. Every group of \
            workers receives every event; within a group, each event goes to one worker.

            Examples: ev-queue push jobs < jobs.ndjson
                      ev-queue work jobs --concurrency 4 --to queue:results -- ./convert.sh
                      ev-queue stats | jq .
                      ev-queue redrive jobs --all
            """,
        version: tgpipeVersion,
        subcommands: [
            Push.self, Pull.self, Work.self, List.self, Stats.self, Peek.self, Tap.self, Redrive.self, Purge.self,
            Wait.self,
        ])
}

/// Represents a queue's name as an argument, with or without `queue:`.
struct QueueArgument: ExpressibleByArgument, Sendable {
    let name: QueueName

    init?(argument: String) {
        let text = argument.hasPrefix(QueueName.prefix) ? String(argument.dropFirst(QueueName.prefix.count)) : argument
        guard let name = try? QueueName(text) else { return nil }
        self.name = name
    }
}

/// Represents a command of ev-queue.
protocol QueueCommand: Tool {}

extension QueueCommand {
    static var name: String { EvQueue.toolName }

    /// Returns the error for a queue that does not exist, with the names that may have been meant.
    func missing(_ queue: QueueName, _ redis: Redis) async throws -> ToolError {
        let names = try await QueueAdmin.all(redis).map(\.text)
        let hint = SimilarNames.hint(for: queue.text, among: names)
        let rest = names.isEmpty ? "; there is no queue yet" : hint.isEmpty ? "; 'ev-queue list' lists all" : hint
        return ToolError(.no, "\(queue) does not exist\(rest)")
    }

    /// Checks that a queue exists: a misspelled name would look like a queue without events.
    ///
    /// - Throws: `ToolError` (1).
    func check(_ queue: QueueName, _ redis: Redis) async throws {
        guard try await !QueueAdmin(queue, redis: redis).exists else { return }
        throw try await missing(queue, redis)
    }
}
