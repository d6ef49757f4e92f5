package import ArgumentParser
import LogStore
import Options
import Stage
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = EvLog.self

struct EvLog: AsyncParsableCommand {
    static let toolName = "ev-log"

    static let configuration = CommandConfiguration(
        commandName: toolName,
        abstract: "Keep the log of all tools, and show what happened to a request.",
        discussion: """
            With TGPIPE_LOG_DIR set, every tool also appends its log lines and spans to a file in that folder. 'run' stores them, \
            'show' finds lines, and 'trace' shows one request across all tools.

            Examples: ev-log run &
                      ev-log show --level warning --since 1h
                      ev-log trace 019a3c
                      ev-log import < other.ndjson
            """,
        version: tgpipeVersion,
        subcommands: [
            Run.self, Show.self, Trace.self, Top.self, Serve.self, Metrics.self, Graph.self, ImportLines.self,
            Export.self,
        ])
}

/// Represents a command of ev-log.
protocol LogCommand: Tool {}

extension LogCommand {
    static var name: String { EvLog.toolName }
}

/// Selects the log store.
struct LogStoreOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The folder of the log store. Default: log in the state folder. [env: TGPIPE_LOG_STORE]",
            valueName: "folder"))
    var store: String?

    func folder(_ runtime: Runtime) throws -> StoreFolder {
        if let chosen = store ?? Settings.environment("TGPIPE_LOG_STORE") { return StoreFolder(chosen) }
        return StoreFolder(try runtime.stateFolder("log"))
    }

    /// Returns the folder of a store that exists.
    func existingFolder(_ runtime: Runtime) throws -> StoreFolder {
        let folder = try folder(runtime)
        guard !folder.files().isEmpty else {
            throw ToolError(
                .unavailable,
                "there is no log store in \(folder.path): start 'ev-log run', with TGPIPE_LOG_DIR set for it and for all tools"
            )
        }
        return folder
    }
}

/// Limits what the store keeps.
struct RetentionOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("How much the store may hold; the oldest lines are removed first.", valueName: "size"))
    var maxSize = ByteSize(2 << 30)

    @Option(help: ArgumentHelp("How long lines are kept.", valueName: "duration"))
    var keep = Span(.seconds(14 * 86_400))

    func validate() throws {
        guard maxSize.bytes >= 4 << 20 else { throw ValidationError("--max-size must be 4M or more") }
    }

    var limits: LogWriter.Limits {
        var limits = LogWriter.Limits()
        limits.totalBytes = maxSize.bytes
        limits.keep = keep.duration
        return limits
    }
}
