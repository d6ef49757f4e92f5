import Envelope
import Logging
package import Options
import Queue
package import Stage
import System

/// The number of events that one route has matched, and their size.
package struct RouteReport: Sendable {
    /// The route's pattern, or its name in the configuration file.
    package let route: String
    /// The target's name, as reports print it.
    package let target: String
    package let events: Int
    package let bytes: Int
}

/// Routes the events of one input by a plan, until the input ends or the tool is told to stop.
package struct RoutingRun: Sendable {
    private let plan: RoutingPlan
    private let input: InputOptions
    private let runtime: Runtime

    package init(_ plan: RoutingPlan, _ input: InputOptions, _ runtime: Runtime) {
        (self.plan, self.input, self.runtime) = (plan, input, runtime)
    }

    /// Routes every event.
    ///
    /// - Returns: a report on each route, in the order of the plan.
    /// - Throws: `ToolError` with the exit status of the first failure and the message of the last. The other failures are logged.
    package func run() async throws -> [RouteReport] {
        let bridge = AsyncBridge()
        return try await withThrowingTaskGroup(of: [RouteReport]?.self) { group in
            group.addTask {
                await bridge.run()
                return nil
            }
            group.addTask { try await self.route(bridge) }
            while let ended = try await group.next() {
                guard let counts = ended else { continue }
                bridge.close()
                return counts
            }
            return []
        }
    }

    private func route(_ bridge: AsyncBridge) async throws -> [RouteReport] {
        let thread = BlockingThread()
        let maxLine = Int(input.maxLine.bytes)
        var source: QueueSource?
        if let queue = try QueueName(endpoint: input.from) {
            source = try await QueueSource(queue, options: input.queue, runtime: runtime)
        }
        let feed = source
        if feed == nil {
            runtime.activity.reads(input.from)
            runtime.noteTerminal(input.from)
        }
        for route in plan.routes {
            runtime.activity.writes(route.target.endpoint, types: route.patterns.map(\.description))
        }
        let tools = MiddlewareTools(runtime: runtime, bridge: bridge, maxLineBytes: maxLine)
        let delivery = try await thread.run { try Delivery(plan, isFedByQueue: feed != nil, tools) }
        var intake: QueueIntake?
        if let feed { intake = try await QueueIntake(feed, delivery, runtime: runtime, maxLineBytes: maxLine) }
        ServiceManager.reportReady()
        async let fed: Void? = intake?.run()
        // The task is cancelled when the time of --drain is over.
        let (counts, failures) = await withTaskCancellationHandler {
            await thread.run { [from = feed == nil ? input.from : nil] in
                delivery.run(maxLineBytes: maxLine, from: from)
            }
        } onCancel: {
            delivery.giveUp()
        }
        _ = await fed
        guard let last = failures.last else {
            return zip(delivery.routes, counts).map { route, count in
                RouteReport(route: route.name, target: route.target.name, events: count.events, bytes: count.bytes)
            }
        }
        for failure in failures.dropLast() { runtime.log.error("\(failure.message)") }
        throw ToolError(failures[0].exitStatus, last.message)
    }
}
