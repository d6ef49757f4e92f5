import Glibc
import Logging
import Stage
import Synchronization
import System

/// Runs the outputs of all routes, their middlewares and the router, each on a thread of its own, until everything is delivered or
/// given up.
final class Delivery: Sendable {
    private struct State {
        var routing = true
        var counts: [RouteCount]?
        /// The indices of the buffers whose outputs or route workers are at work.
        var working: Set<Int>
        var failures: [ToolError] = []
        var isGivenUp = false
    }

    /// The time after which an output that may drop events, and whose reader takes nothing, is not waited for at the end.
    private static let patience = Duration.seconds(5)

    let routes: [Route]
    let outputs: [Output]
    /// The buffers that the router puts events into: those of the outputs, then those of the route workers.
    let buffers: [OutputBuffer]
    /// The index of each route's buffer.
    let bufferOfRoute: [Int]
    let middlewares: MiddlewarePlan
    let tools: MiddlewareTools
    let deadLetters: DeadLetterCollector
    /// The index of the dead-letter output.
    let deadLetterOutput: Int?
    let intake: Intake
    /// The number of bytes of the current block that come after the line at which the router waits.
    let unroutedBytes = Atomic(0)
    /// Is true if refused lines without a dead-letter output, and the lines for queues, are given back at each barrier.
    let isFedByQueue: Bool
    /// Is true if a line without a correlation id gets a new one.
    let stamps: Bool
    private let workers: [RouteWorker]
    private let runtime: Runtime
    private let state: Monitor<State>

    /// Opens every output. Routes with the same target share one.
    init(_ plan: RoutingPlan, isFedByQueue: Bool, _ tools: MiddlewareTools) throws(ToolError) {
        let plans = try plan.outputs()
        let targets = plans.map(\.target)
        let deadLetters = DeadLetterCollector(runtime: tools.runtime, isFedByQueue: isFedByQueue)
        var outputs: [Output] = []
        for output in plans {
            outputs.append(
                try Output(output, spool: plan.spool, collects: isFedByQueue, tools) { damage in
                    deadLetters.add(damage)
                })
        }
        var workers: [RouteWorker] = []
        bufferOfRoute = plan.routes.map { route in
            let output = targets.firstIndex(of: route.target) ?? 0
            guard !route.middlewares.isEmpty else { return output }
            workers.append(
                RouteWorker(
                    route, to: outputs[output].buffer, isFedByQueue: isFedByQueue, tools: tools,
                    deadLetters: deadLetters))
            return outputs.count + workers.count - 1
        }
        routes = plan.routes
        middlewares = plan.middlewares
        buffers = outputs.map(\.buffer) + workers.map(\.buffer)
        deadLetterOutput = plan.deadLetter.flatMap(targets.firstIndex)
        intake = Intake(buffers)
        state = Monitor(State(working: Set(buffers.indices)))
        runtime = tools.runtime
        (self.outputs, self.workers, self.deadLetters) = (outputs, workers, deadLetters)
        (self.isFedByQueue, self.tools, stamps) = (isFedByQueue, tools, plan.stamps)
        if let deadLetterOutput { deadLetters.begin(outputs[deadLetterOutput].buffer) }
    }

    /// Blocks until every output has accepted the events that it was given.
    ///
    /// - Returns: false if an output or a route's middleware failed.
    func isSettled() -> Bool {
        // Route workers put events into the buffers of outputs, so they come first.
        buffers.reversed().reduce(true) { $1.waitUntilSettled() && $0 }
    }

    /// Routes the input, and blocks until all of it is delivered.
    ///
    /// - Parameter endpoint: the input; nil if another thread fills the intake.
    /// - Returns: the counts of each route, which are empty if the router has not ended, and why not everything is delivered.
    func run(maxLineBytes: Int, from endpoint: String?) -> (counts: [RouteCount], failures: [ToolError]) {
        start(maxLineBytes: maxLineBytes, from: endpoint)
        let end = state.wait { state -> State? in
            state.isGivenUp || (!state.routing && state.working.isEmpty) ? state : nil
        }
        guard let end else { return ([], []) }
        var failures = end.failures + end.working.sorted().compactMap(giveUp)
        // Threads that still wait for these outputs go on.
        for index in end.working { buffers[index].breakOff() }
        let unrouted = unroutedBytes.load(ordering: .relaxed) + intake.waitingBytes
        if unrouted > 0 {
            failures.append(ToolError(.localIO, "gave up on \(unrouted) bytes that were read and not yet routed"))
        }
        intake.abandon()
        return (end.counts ?? [], failures)
    }

    private func start(maxLineBytes: Int, from endpoint: String?) {
        for (index, output) in outputs.enumerated() {
            BlockingThread.start { self.work(index) { () throws(ToolError) in try output.run() } }
        }
        for (number, worker) in workers.enumerated() {
            BlockingThread.start(stackBytes: worker.stackBytes) {
                self.work(self.outputs.count + number) { () throws(ToolError) in try worker.run() }
            }
        }
        if let endpoint {
            BlockingThread.start {
                self.intake.read(
                    LineReader(
                        endpoint: endpoint, maxLineBytes: maxLineBytes, blockBytes: BlockBudget.blockBytes,
                        shutdown: self.runtime.shutdown))
            }
        }
        BlockingThread.start(stackBytes: middlewares.stackBytes) { self.route() }
    }

    /// Ends the wait for readers and commands, even if events are undelivered. May be called from any thread.
    func giveUp() { state.update { $0.isGivenUp = true } }

    /// - Returns: the failure; nil if the undelivered events are kept.
    private func giveUp(_ index: Int) -> ToolError? {
        guard index < outputs.count else {
            let worker = workers[index - outputs.count]
            return ToolError(
                .localIO, "gave up on \(worker.name): \(worker.undeliveredBytes) bytes were not delivered")
        }
        let output = outputs[index]
        let bytes = output.undeliveredBytes
        output.giveUp()
        guard bytes > 0 || !output.keepsUndelivered else { return nil }
        return ToolError(.localIO, "gave up on \(output.name): \(bytes) bytes were not delivered")
    }

    private func work(_ index: Int, _ run: () throws(ToolError) -> Void) {
        var failure: ToolError?
        do throws(ToolError) { try run() } catch { failure = error }
        // No more input is read, and the other outputs deliver the events that they have.
        if failure != nil { runtime.shutdown.request() }
        state.update { [failure] state in
            state.working.remove(index)
            if let failure { state.failures.append(failure) }
        }
    }

    private func route() {
        var router = Router(runtime: runtime, delivery: self)
        var counts: [RouteCount]?
        var failure: ToolError?
        do throws(ToolError) { counts = try router.run() } catch { failure = error }
        intake.abandon()
        if failure != nil { runtime.shutdown.request() }
        close()
        state.update { [counts, failure] state in
            state.routing = false
            state.counts = counts
            if let failure { state.failures.append(failure) }
        }
    }

    /// Closes the buffers after the last event: first those of the route workers, then those of the outputs, and at last that of the
    /// dead letters.
    private func close() {
        for worker in workers { worker.buffer.close() }
        wait { [count = outputs.count] index in index < count }
        for (index, output) in outputs.enumerated() where index != deadLetterOutput { output.buffer.close() }
        for index in outputs.indices where outputs[index].isDropping {
            BlockingThread.start { self.watch(index) }
        }
        wait { [deadLetterOutput] index in index == deadLetterOutput }
        if let deadLetterOutput { outputs[deadLetterOutput].buffer.close() }
    }

    /// Gives up an output that may drop events once its reader takes nothing for a while.
    private func watch(_ index: Int) {
        let output = outputs[index]
        var (left, since) = (output.undeliveredBytes, ContinuousClock.now)
        while state.read({ $0.working.contains(index) && !$0.isGivenUp }) {
            usleep(50_000)
            let now = output.undeliveredBytes
            if now != left { (left, since) = (now, .now) }
            guard since.duration(to: .now) > Delivery.patience else { continue }
            runtime.log.warning("no reader takes the contents of \(output.name): its last \(left) bytes are dropped")
            output.tellDrops()
            output.giveUp()
            _ = state.update { $0.working.remove(index) }
            return
        }
    }

    /// Waits until no output or route worker is at work, except those that `mayWork` accepts.
    private func wait(until mayWork: @Sendable (Int) -> Bool) {
        _ = state.wait { state -> Void? in state.isGivenUp || state.working.allSatisfy(mayWork) ? () : nil }
    }
}
