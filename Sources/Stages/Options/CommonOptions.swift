public import ArgumentParser
import JSON
public import Logging
import System

/// Holds the arguments that every tool takes.
package struct CommonOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The address of Redis: unix:/path, redis://host:port, rediss://… for TLS, sentinels or a cluster (see docs/redis.md); with a password only in the variable. Default: a private server. [env: TGPIPE_REDIS]",
            valueName: "address"))
    package var redis: String?

    @Option(help: ArgumentHelp("The folder for state and media. [env: TGPIPE_STATE]", valueName: "folder"))
    package var stateDir: String?

    @Option(
        help: ArgumentHelp(
            "The lowest level to log: trace, debug, info, notice, warning or error. [env: TGPIPE_LOG]",
            valueName: "level"))
    package var logLevel: Logger.Level?

    @Flag(name: .shortAndLong, help: "Log errors only, and show no progress.")
    package var quiet = false

    @Flag(name: .shortAndLong, help: "Log details, too: the same as --log-level debug.")
    package var verbose = false

    @Option(
        help: ArgumentHelp(
            "The form of log lines: human or json. Default: human on a terminal, else json. [env: TGPIPE_LOG]",
            valueName: "format"))
    package var logFormat: LogFormat?

    @Option(
        help: ArgumentHelp("How long work in flight may take to finish after SIGTERM or SIGINT.", valueName: "duration")
    )
    package var drain: Span = Span(.seconds(30))

    package init() {}

    package func validate() throws {
        let levels = [("--quiet", quiet), ("--verbose", verbose), ("--log-level", logLevel != nil)].filter(\.1).map(\.0)
        guard levels.count < 2 else { throw ValidationError("\(levels[0]) and \(levels[1]) exclude each other") }
    }

    /// Returns the path of a folder below the state folder. The folder need not exist.
    ///
    /// - Throws: `ToolError` (78) when neither the arguments nor the environment name a state folder.
    package func stateFolder(_ name: String) throws -> String {
        "\(try Settings.stateDirectory(flag: stateDir))/\(name)"
    }
}

/// Selects the form of log lines on standard error.
package enum LogFormat: String, Sendable, CaseIterable, ExpressibleByArgument {
    /// Readable text, the default on a terminal.
    case human
    /// One JSON object a line, the default elsewhere.
    case json
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Describes one command of the toolkit to the argument parser. `Stage.Tool` adds the part that runs it.
package protocol ToolCommand: AsyncParsableCommand, Sendable {
    /// The name in log lines and in the list of Redis clients. Default: the command's own name.
    static var name: String { get }
    var common: CommonOptions { get }
}

extension ToolCommand {
    package static var name: String { configuration.commandName ?? "\(Self.self)" }
}
