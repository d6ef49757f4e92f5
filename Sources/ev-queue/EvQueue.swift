package import ArgumentParser
import Queue
import Redis
import Stage
import System

/// The tool, as the program that holds all tools runs it.
package let command: any AsyncParsableCommand.Type = EvQueue.self

struct EvQueue: AsyncParsableCommand {
    static let toolName = "ev-queue"

    static let configuration = CommandConfiguration(
        commandName: toolName,
        abstract: "Durable queues of envelopes in Redis: submit, work, look, repair.",
        discussion: """
            Every tool of tgpipe reads from and writes to queues by itself (--from queue:NAME, --to queue:NAME); this one is for \
            shells, for programs that know nothing of queues, and for looking. A queue is there when something was put into it. \
            Every group of workers gets every event; within a group each event goes to one worker.

            Examples: ev-queue push jobs < jobs.ndjson
                      ev-queue work jobs --concurrency 4 --to queue:results -- ./convert.sh
                      ev-queue stats | jq .
                      ev-queue redrive jobs --all
            """,
        version: tgpipeVersion,
        subcommands: [
            Push.self, Pull.self, Work.self, List.self, Stats.self, Peek.self, Redrive.self, Purge.self, Wait.self,
        ])
}

/// A queue's name as an argument, with or without `queue:`.
struct QueueArgument: ExpressibleByArgument, Sendable {
    let name: QueueName

    init?(argument: String) {
        let text = argument.hasPrefix(QueueName.prefix) ? String(argument.dropFirst(QueueName.prefix.count)) : argument
        guard let name = try? QueueName(text) else { return nil }
        self.name = name
    }
}

/// A command of ev-queue.
protocol QueueCommand: Tool {}

extension QueueCommand {
    static var name: String { EvQueue.toolName }
}
