import ArgumentParser
import JSON
import Options
import Queue
import Stage
import System

struct Tap: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "tap",
        abstract: "Watch the events that come into a queue, without taking them.",
        discussion: """
            Prints new events unchanged as they come, until it is interrupted. The workers of the queue notice nothing: each event \
            still goes to one of every group. An event that every group has finished before 'tap' looks is not seen.

            Example: ev-queue tap media --sample 100 | jq .payload.url
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Option(help: ArgumentHelp("Print one event in this many.", valueName: "n"))
    var sample: Int = 1

    @Flag(help: "Begin with the events that are in the queue already.") var all = false

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("End after this number of printed events; 0 for no limit.", valueName: "n"))
    var count: Int = 0

    func validate() throws {
        guard sample >= 1 else { throw ValidationError("--sample must be 1 or more") }
        guard count >= 0 else { throw ValidationError("--count must be 0 or more") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await runtime.requireRedis()
        let watcher = QueueWatcher(queue.name, redis: try await runtime.separateRedis(), fromStart: all)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        runtime.readerWatch.noteOutput()
        runtime.readerWatch.noteWaiting()
        var (seen, printed) = (0, 0)
        while !runtime.shutdown.isRequested {
            let lines = try await runtime.untilRedisAnswers {
                try await runtime.shutdown.interrupting { try await watcher.next(atMost: .seconds(5)) } ?? []
            }
            var chosen: [UInt8] = []
            for line in lines where count == 0 || printed < count {
                defer { seen += 1 }
                guard seen % sample == 0 else { continue }
                chosen += line
                chosen.append(UInt8(ascii: "\n"))
                printed += 1
            }
            try await output.write(chosen)
            if count > 0, printed >= count { break }
        }
        return .success
    }
}
