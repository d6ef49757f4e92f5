import ArgumentParser
import Glibc
import JSON
import Options
import Stage
import System

struct Top: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show which stages live, what they do, and how full the queues are.",
        discussion: """
            The stages are those that share the Redis, on all machines. IN/S, OUT/S and ERR/S are events a second, WORK counts events in \
            work, BEAT is the age of the last heartbeat. A stage that was killed is shown as gone.

            Examples: ev-log top
                      ev-log top --once --json | jq '.stages[] | select(.state == "gone")'
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Option(help: ArgumentHelp("The time between two looks, 100ms or more.", valueName: "duration"))
    var interval: Span = Span(.seconds(2))

    @Flag(help: "Look once. The default without a terminal.") var once = false

    @Flag(help: "Print one JSON object a look.") var json = false

    func validate() throws {
        guard interval.duration >= .milliseconds(100) else { throw ValidationError("--interval must be 100ms or more") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let reader = try await PipelineReader.open(runtime)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let table = TopTable(usesColors: isTerminal && Settings.environment("NO_COLOR") == nil)
        let isRepeated = !once && (isTerminal || json)
        repeat {
            let state = try await runtime.untilRedisAnswers { try await reader.read() }
            var text = ""
            if json {
                text = JSON.object(state.json).text + "\n"
            } else {
                // A screen that is redrawn from its top line by line does not flicker.
                let erase = isRepeated ? "\u{1B}[K" : ""
                let lines = table.lines(state).map { $0 + erase + "\n" }.joined()
                text = isRepeated ? "\u{1B}[H\(lines)\u{1B}[J" : lines
            }
            try await output.write(Array(text.utf8))
            guard isRepeated else { break }
            _ = try await runtime.shutdown.interrupting { try await Task.sleep(for: interval.duration) }
        } while !runtime.shutdown.isRequested
        return .success
    }
}
