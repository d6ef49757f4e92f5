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
        abstract: "Send dead letters round again.",
        discussion: """
            They go back into the queue, for the group that gave them up, with all their attempts. Name them by the payload.entry that \
            'peek --dead' shows, or say --all. Exit status 1 when there was none of them.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Argument(help: "Dead letters, as 'peek --dead' calls them.") var entries: [String] = []

    @Flag(help: "All that there are now.") var all = false

    func validate() throws {
        guard all != !entries.isEmpty else { throw ValidationError("say which: --all, or entries of 'peek --dead'") }
        let isEntry = entries.allSatisfy {
            let numbers = $0.split(separator: "-", omittingEmptySubsequences: false)
            return numbers.count == 2 && numbers.allSatisfy { $0.first?.isNumber == true && UInt64($0) != nil }
        }
        guard isEntry else { throw ValidationError("an entry looks like 1735689600000-0") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let admin = QueueAdmin(queue.name, redis: try await runtime.redis())
        var count = 0
        if all {
            // No more than are there now: what fails again at once is not sent round for ever. Their ids have the time of the server's
            // clock, which this machine's need not agree with.
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
        runtime.log.info("sent \(count) dead letters round again", metadata: ["queue": "\(queue.name.text)"])
        return count > 0 ? .success : .no
    }
}

struct Purge: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Throw a queue away, or a part of it.",
        discussion: "Without --yes it only says what it would throw away, and ends with status 1.")

    @OptionGroup var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Flag(help: "The dead letters only.") var dead = false

    @Option(
        help: ArgumentHelp(
            "A group only, with what it has not finished: one that nobody works for keeps events for ever. End its workers first: those that run begin anew with what is still in the queue.",
            valueName: "name"))
    var group: String?

    @Flag(help: "Do it.") var yes = false

    func validate() throws {
        guard !dead || group == nil else { throw ValidationError("--dead and --group are two things to throw away") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let admin = QueueAdmin(queue.name, redis: try await runtime.redis())
        guard yes else {
            let what = try await what(admin)
            runtime.log.error("would throw away \(what): say --yes to do it")
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
                "threw away \(count) \(dead ? "dead letters" : "events")", metadata: ["queue": "\(queue.name.text)"])
        }
        return .success
    }

    private func what(_ admin: QueueAdmin) async throws -> String {
        let stats = try await admin.stats()
        if dead { return "\(stats.dead) dead letters of \(queue.name)" }
        if let group {
            let open = stats.groups.first { $0.name == group }?.open
            return "the group \(group) of \(queue.name), with \(open ?? 0) events that it has not finished"
        }
        return "\(queue.name) with \(stats.events) events and \(stats.dead) dead letters"
    }
}

struct Wait: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until a queue is empty: nothing new, nothing under way, nothing to be tried again.",
        discussion: """
            Exit status 75 when it is not within --timeout, 69 when Redis is away then. What is in the dead letters does not count.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Option(help: ArgumentHelp("What this group has to do only. Default: every group.", valueName: "name"))
    var group: String?

    @Option(help: ArgumentHelp("How long to wait at most. Default: for as long as it takes.", valueName: "duration"))
    var timeout: Span?

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let admin = QueueAdmin(queue.name, redis: try await runtime.redis())
        let end = timeout.map { ContinuousClock.now + $0.duration }
        while true {
            let stats = try await runtime.patiently(until: end) { try await admin.stats() }
            let open =
                group.map { name in stats.groups.first { $0.name == name }?.open ?? stats.events } ?? stats.events
            if open == 0 { return .success }
            if let end, ContinuousClock.now >= end {
                throw ToolError(.tryAgain, "\(queue.name) still has \(open) events to be done")
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
