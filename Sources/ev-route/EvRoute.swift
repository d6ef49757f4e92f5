package import ArgumentParser
import Logging
import Options
import System
import Routing
import Spool
import Stage

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = EvRoute.self

struct EvRoute: Tool {
    static let configuration = CommandConfiguration(
        commandName: "ev-route",
        abstract: "Send each envelope to the outputs of the routes that match its type.",
        discussion: """
            A route is PATTERN=TARGET. PATTERN is made of dotted words: * stands for one word, # for any number of them; \
            PATTERN@2 takes version 2 of the payload only. TARGET is - (standard output), the path of a FIFO or file, \
            exec:COMMAND or queue:NAME. An envelope goes to every route that matches; one that matches none goes to the dead letters.

            Example: ev-route -o 'commands.media.#=run/media.fifo' -o 'commands.telegram.#=run/send.fifo' \
            --dead-letter run/dead.ndjson
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A route; may be given several times.", valueName: "pattern=target"),
        transform: Route.init(argument:))
    var output: [Route] = []

    @Option(
        help: ArgumentHelp(
            "A TOML file with further routes, and with middlewares.", valueName: "file"))
    var config: String?

    @OptionGroup var overflow: OverflowOptions

    @Flag(help: "Log at the end how many events and bytes each route has matched.")
    var stats = false

    func validate() throws {
        guard !output.isEmpty || config != nil else { throw ValidationError("no routes: give --output or --config") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let counts = try await RoutingRun(try plan(runtime), input, runtime).run()
        if stats { report(counts, runtime) }
        return .success
    }

    private func plan(_ runtime: Runtime) throws -> RoutingPlan {
        var plan = RoutingPlan(spool: SpoolPlan(folder: try runtime.stateFolder("spool"), limits: SpoolLimits()))
        plan.routes = output
        if let config { try RouteFile.read(config, into: &plan) }
        guard !plan.routes.isEmpty else { throw ToolError(.configuration, "no routes in \(config ?? "")") }
        plan.stamps = input.stamp
        if let deadLetter = input.deadLetter { plan.deadLetter = try Target(deadLetter) }
        try overflow.apply(to: &plan)
        return plan
    }

    private func report(_ counts: [RouteReport], _ runtime: Runtime) {
        var log = runtime.log
        // The user asked for these lines, so they appear at every log level.
        log.logLevel = .info
        for count in counts {
            log.info(
                "route \(count.route): \(count.events) events, \(count.bytes) bytes",
                metadata: [
                    "route": "\(count.route)", "to": "\(count.target)", "events": .stringConvertible(count.events),
                    "bytes": .stringConvertible(count.bytes),
                ])
        }
    }
}

extension Route {
    /// Parses an argument of `--output`.
    ///
    /// - Throws: `ValidationError` when it is not a route.
    fileprivate init(argument: String) throws {
        do throws(ToolError) { try self.init(parsing: argument) } catch { throw ValidationError(error.message) }
    }
}
