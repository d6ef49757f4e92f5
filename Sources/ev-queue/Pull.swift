import ArgumentParser
import Options
import Queue
import Stage
import System

struct Pull: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Take envelopes from a queue and write them to standard output.",
        discussion: """
            Writes up to --count envelopes and acknowledges them once they are written: from then on the reader of the pipe is \
            responsible for them. Use 'work' to have them retried after a failure, and 'peek' to look without taking. \
            The exit status is 1 if there was no event.

            Example: ev-queue pull jobs -n 100 --wait 30s | ./import.sh
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup(title: "Reading from the queue") var queueOptions: QueueOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Option(name: [.customShort("n"), .long], help: ArgumentHelp("The number of events, at most.", valueName: "n"))
    var count: Int = 1

    @Option(help: ArgumentHelp("The longest wait for the first event.", valueName: "duration"))
    var wait: Span = Span(.zero)

    func validate() throws {
        guard count > 0 else { throw ValidationError("--count must be 1 or more") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let source = try await QueueSource(queue.name, options: queueOptions, runtime: runtime)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        runtime.readerWatch.noteOutput()
        let end = ContinuousClock.now + wait.duration
        var written = 0
        try await source.keepingLeases {
            while written < count {
                let left = written == 0 ? max(.zero, end - .now) : .zero
                guard let taken = try await source.next(limit: min(count - written, 500), isIdle: true, atMost: left)
                else { break }
                let lines = taken.entries.flatMap { $0.line + [UInt8(ascii: "\n")] }
                try await output.write(lines)
                try await source.finish(taken.entries.map { QueueResult($0.entry) })
                written += taken.entries.count
            }
        }
        return written > 0 ? .success : .no
    }
}
