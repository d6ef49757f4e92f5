import ArgumentParser
import Blocking
import Envelope
import Queue
import Spool
import Stage

@main struct EvRoute: Tool {
    static let configuration = CommandConfiguration(
        commandName: "ev-route",
        abstract: "Send each envelope to the outputs that its type is routed to.",
        discussion: """
            A route is PATTERN=TARGET. PATTERN is made of dotted words: * stands for one word, # for any number of them; \
            PATTERN@2 takes version 2 of the payload only. TARGET is - (standard output), the path of a FIFO or file, \
            exec:COMMAND or queue:NAME. An envelope goes to every route that matches; one that matches none goes to the dead letters.

            Example: ev-route -o 'commands.media.#=run/media.fifo' -o 'commands.telegram.#=run/send.fifo' \
            --dead-letter run/dead.ndjson
            """,
        version: tgpipeVersion)

    @OptionGroup var common: CommonOptions
    @OptionGroup var input: InputOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A route; may be given several times.", valueName: "pattern=target"),
        transform: Route.init(argument:))
    var output: [Route] = []

    @Option(
        help: ArgumentHelp(
            "A TOML file of routes, which add to those of --output, and of middlewares.", valueName: "file"))
    var config: String?

    @OptionGroup var overflow: OverflowOptions

    @Flag(help: "Tell at the end how many events and bytes each route has matched.")
    var stats = false

    func validate() throws {
        guard !output.isEmpty || config != nil else { throw ValidationError("no routes: give --output or --config") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let bridge = TaskBridge()
        return try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            group.addTask {
                await bridge.run()
                return nil
            }
            group.addTask { try await self.route(runtime, bridge) }
            while let ended = try await group.next() {
                guard let status = ended else { continue }
                bridge.close()
                return status
            }
            return .bug
        }
    }

    private func route(_ runtime: Runtime, _ bridge: TaskBridge) async throws -> ExitStatus {
        let thread = BlockingThread()
        let maxLine = Int(input.maxLine.bytes)
        var source: QueueSource?
        if let queue = try QueueName(endpoint: input.from) {
            source = try await QueueSource(queue, options: input.queue, runtime: runtime)
        }
        let feed = source
        let delivery = try await thread.run {
            try self.delivery(runtime, bridge, isFedByQueue: feed != nil)
        }
        var intake: QueueIntake?
        if let feed { intake = try await QueueIntake(feed, delivery, runtime: runtime, maxLineBytes: maxLine) }
        async let fed: Void? = intake?.run()
        // A cancellation is the end of the time that --drain gives.
        let (counts, failures) = await withTaskCancellationHandler {
            await thread.run { [from = feed == nil ? input.from : nil] in
                delivery.run(maxLineBytes: maxLine, from: from)
            }
        } onCancel: {
            delivery.giveUp()
        }
        _ = await fed
        if stats { tell(counts, of: delivery, runtime) }
        guard let last = failures.last else { return .success }
        // The last is printed where all fatal errors are.
        for failure in failures.dropLast() { runtime.log.error("\(failure.message)") }
        throw StageError(failures[0].exitStatus, last.message)
    }

    private func delivery(_ runtime: Runtime, _ bridge: TaskBridge, isFedByQueue: Bool) throws -> Delivery {
        var plan = Plan(spool: SpoolPlan(folder: try runtime.stateFolder("spool"), limits: SpoolLimits()))
        plan.routes = output
        if let config { try RouteFile.read(config, into: &plan) }
        guard !plan.routes.isEmpty else { throw StageError(.configuration, "no routes in \(config ?? "")") }
        if let deadLetter = input.deadLetter { plan.deadLetter = try Target(deadLetter) }
        try overflow.apply(to: &plan)
        let tools = MiddlewareTools(runtime: runtime, bridge: bridge, maxLineBytes: Int(input.maxLine.bytes))
        return try Delivery(plan, isFedByQueue: isFedByQueue, tools)
    }

    private func tell(_ counts: [RouteCount], of delivery: Delivery, _ runtime: Runtime) {
        var log = runtime.log
        // It was asked for, whatever the level.
        log.logLevel = .info
        for (route, count) in zip(delivery.routes, counts) {
            log.info(
                "route \(route.name): \(count.events) events, \(count.bytes) bytes",
                metadata: [
                    "route": "\(route.name)", "to": "\(route.target.name)", "events": "\(count.events)",
                    "bytes": "\(count.bytes)",
                ])
        }
    }
}
