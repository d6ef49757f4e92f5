import ArgumentParser
import Archive
import JSON
import Logging
import Options
import Stage
import System

struct Replay: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Store the events again that the database refused.",
        discussion: """
            Each event is tried as it came, and then, if the database still refuses it, with U+FFFD in place of NUL characters \
            and without times that the database cannot hold. An event that is stored is no failure any more. Exits with 1 if \
            failures remain.

            Examples: msg-store replay
                      msg-store replay --list | jq .message
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Flag(help: "Only print the events as they came.") var list = false

    @Flag(help: "Do not change an event to make it fit.") var exact = false

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        if list {
            let lines = try await BlockingThread.oncePassingErrors {
                try ArchiveReader(address, name: MsgStore.toolName).failedLines()
            }
            for line in lines { try await output.write(line + [UInt8(ascii: "\n")]) }
            return .success
        }
        let isExact = exact
        let outcome = try await BlockingThread.oncePassingErrors {
            try FailureReplay(address, name: MsgStore.toolName).run(isExact: isExact)
        }
        runtime.log.notice(
            "replayed the failures",
            metadata: [
                "stored": .stringConvertible(outcome.stored), "changed": .stringConvertible(outcome.changed),
                "left": .stringConvertible(outcome.left),
            ])
        return outcome.left == 0 ? .success : .no
    }
}
