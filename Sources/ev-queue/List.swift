import ArgumentParser
import JSON
import Logging
import Options
import Queue
import Stage
import System

struct List: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Print the names of all queues, one a line.")

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        for queue in try await QueueAdmin.all(runtime.redis()) { try await output.write(Array("\(queue.text)\n".utf8)) }
        return .success
    }
}

struct Stats: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Print the state of queues, one line of JSON each.",
        discussion: """
            events is the number of events that some group has not acknowledged. Each group has five numbers: \
            new counts events that no worker has taken, working counts events in work, retrying counts events that \
            wait for another attempt, held counts events that wait for another event, and behind counts events that wait because \
            an earlier one of the same chat, or with the same value of --order-by, is not finished. waiting_for names a service that is \
            away, for whose return the workers of the group wait. The exit status is 1 if a named queue does not exist. Warns of \
            queues that no running stage reads, or that a stage reads and nobody has ever written.

            Example: ev-queue stats | jq -r '[.queue, .events, .dead] | @tsv'
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Argument(help: "Names of queues. Default: all.") var queues: [QueueArgument] = []

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let redis = try await runtime.redis()
        let names = queues.isEmpty ? try await QueueAdmin.all(redis) : queues.map(\.name)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        let users = try await QueueUsers.read(redis)
        var status = ExitStatus.success
        for name in names {
            let admin = QueueAdmin(name, redis: redis)
            guard try await admin.exists else {
                let error = try await missing(name, redis)
                runtime.log.error("\(error.message)")
                status = .no
                continue
            }
            let stats = try await admin.stats()
            try await output.write(JSON.object(stats.json(of: name)).bytes + [UInt8(ascii: "\n")])
            let warning = users.warning(of: name, events: stats.events, wasUsed: try await admin.wasUsed)
            if let warning { runtime.log.warning("\(warning)") }
        }
        return status
    }
}

extension QueueAdmin.Stats {
    fileprivate func json(of queue: QueueName) -> JSONObject {
        let age = oldestMilliseconds.map { max(0, Timestamp.now.microseconds / 1_000_000 - $0 / 1000) }
        return [
            "queue": .string(queue.text), "events": .integer(Int64(events)), "dead": .integer(Int64(dead)),
            "oldest_seconds": age.map { .integer($0) }, "groups": .array(groups.map { .object($0.json) }),
        ]
    }
}

extension QueueAdmin.Stats.Group {
    fileprivate var json: JSONObject {
        [
            "group": .string(name), "new": .integer(Int64(new)), "working": .integer(Int64(working)),
            "retrying": .integer(Int64(retrying)), "held": .integer(Int64(held)), "behind": .integer(Int64(behind)),
            "workers": .integer(Int64(workers)),
            "waiting_for": awaitedService.map { .string($0) },
        ]
    }
}
