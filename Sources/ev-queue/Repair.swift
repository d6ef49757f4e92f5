import ArgumentParser
import Logging
import Options
import Queue
import Redis
import Stage
import System

struct Redrive: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "redrive",
        abstract: "Move dead letters back into their queue.",
        discussion: """
            Dead letters return to the queue for the group that gave them up, with a full number of attempts. \
            Name them by the payload.entry that 'peek --dead' shows, or use --all. The exit status is 1 if none of \
            them was found.
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Argument(help: "Entries of dead letters, as 'peek --dead' shows them.") var entries: [String] = []

    @Flag(help: "Move all dead letters that there are now.") var all = false

    func validate() throws {
        guard all != !entries.isEmpty else {
            throw ValidationError("give --all, or the entries to move, as 'ev-queue peek --dead' shows them")
        }
        let isEntry = entries.allSatisfy {
            let numbers = $0.split(separator: "-", omittingEmptySubsequences: false)
            return numbers.count == 2 && numbers.allSatisfy { $0.first?.isNumber == true && UInt64($0) != nil }
        }
        guard isEntry else { throw ValidationError("an entry looks like 1735689600000-0") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let redis = try await runtime.redis()
        try await check(queue.name, redis)
        let admin = QueueAdmin(queue.name, redis: redis)
        var count = 0
        if all {
            // Only as many as there are now, so that a dead letter that fails again at once is not redriven without end. Ids cannot be
            // compared with the time now: they have the server's clock.
            var left = try await admin.stats().dead
            var last: String?
            while left > 0, !runtime.shutdown.isRequested {
                let ids = try await admin.entries(dead: true, after: last, limit: min(left, 500)).map(\.id)
                guard !ids.isEmpty else { break }
                count += try await admin.redrive(ids)
                last = ids.last
                left -= ids.count
            }
        } else {
            count = try await admin.redrive(entries)
        }
        runtime.log.info("moved \(count) dead letters back into the queue", metadata: ["queue": "\(queue.name.text)"])
        return count > 0 ? .success : .no
    }
}

struct Purge: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Delete a queue, or a part of it.",
        discussion: "Without --yes the command only shows what it would delete, and exits with status 1.")

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Flag(help: "Delete only the dead letters.") var dead = false

    @Option(
        help: ArgumentHelp(
            "Delete only this group, with its unfinished events. A group without workers keeps events for ever. End its workers first: running workers start again with the events that are still in the queue.",
            valueName: "name"))
    var group: String?

    @Flag(help: "Delete, instead of only showing what would be deleted.") var yes = false

    func validate() throws {
        guard !dead || group == nil else { throw ValidationError("--dead and --group exclude each other") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let redis = try await runtime.redis()
        try await check(queue.name, redis)
        let admin = QueueAdmin(queue.name, redis: redis)
        guard yes else {
            let what = try await what(admin)
            runtime.log.error("would delete \(what): repeat with --yes to do it")
            return .no
        }
        if let group {
            guard try await admin.removeGroup(group) else {
                throw ToolError(.no, "\(queue.name) has no group \(group)")
            }
            runtime.log.info("removed the group \(group)", metadata: ["queue": "\(queue.name.text)"])
        } else {
            let count = dead ? try await admin.purgeDead() : try await admin.purge()
            runtime.log.info(
                "deleted \(count) \(dead ? "dead letters" : "events")", metadata: ["queue": "\(queue.name.text)"])
        }
        return .success
    }

    private func what(_ admin: QueueAdmin) async throws -> String {
        let stats = try await admin.stats()
        if dead { return "\(stats.dead) dead letters of \(queue.name)" }
        if let group {
            let open = stats.groups.first { $0.name == group }?.open
            return "the group \(group) of \(queue.name), with \(open ?? 0) unfinished events"
        }
        return "\(queue.name) with \(stats.events) events and \(stats.dead) dead letters"
    }
}

struct Wait: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until a queue is empty: no event is new, in work, or waiting for another attempt.",
        discussion: """
            The exit status is 75 if the queue is not empty within --timeout, 69 if Redis cannot be reached at that time, and 1 if \
            there is no such queue. Dead letters do not count.
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Option(help: ArgumentHelp("Wait only for this group. Default: all groups.", valueName: "name"))
    var group: String?

    @Option(help: ArgumentHelp("The longest wait. Default: no limit.", valueName: "duration"))
    var timeout: Span?

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let redis = try await runtime.redis()
        let admin = QueueAdmin(queue.name, redis: redis)
        let end = timeout.map { ContinuousClock.now + $0.duration }
        try await runtime.untilRedisAnswers(until: end) { try await check(queue.name, redis) }
        while true {
            let stats = try await runtime.untilRedisAnswers(until: end) { try await admin.stats() }
            let open =
                group.map { name in stats.groups.first { $0.name == name }?.open ?? stats.events } ?? stats.events
            if open == 0 { return .success }
            if let end, ContinuousClock.now >= end {
                throw ToolError(.tryAgain, "\(queue.name) still has \(open) unfinished events")
            }
            let pause = Duration.milliseconds(100)
            guard
                try await runtime.shutdown.interrupting({
                    try await Task.sleep(for: pause)
                    return true
                }) != nil
            else { throw CancellationError() }
        }
    }
}
