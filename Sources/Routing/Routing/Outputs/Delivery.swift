import System
import Glibc
import Logging
import Stage
import Synchronization

/// The outputs of all routes at work, and how they end: all of them done, or given up.
final class Delivery: Sendable {
    private struct State {
        var routing = true
        var counts: [RouteCount]?
        /// Indices of the outputs and, behind them, the passages that are at work.
        var working: Set<Int>
        var failures: [ToolError] = []
        var isGivenUp = false
    }

    let routes: [Route]
    let outputs: [Output]
    let passages: [Passage]
    /// Those of outputs and, behind them, of passages: where the router puts events.
    let outboxes: [Outbox]
    /// The index of each route's outbox.
    let outboxOfRoute: [Int]
    let middlewares: MiddlewarePlan
    let tools: MiddlewareTools
    let deadLetterOutput: Int?
    let intake: Intake
    /// Of the block that the router is in the middle of, while it waits there.
    let unroutedBytes = Atomic(0)
    /// Whether lines that no output gets are given back at the next barrier, and those for queues published behind it.
    let isFedByQueue: Bool
    private let runtime: Runtime
    private let state: Monitor<State>

    /// Opens every output. Routes with the same target share it.
    init(_ plan: Plan, isFedByQueue: Bool, _ tools: MiddlewareTools) throws(ToolError) {
        let (runtime, bridge) = (tools.runtime, tools.bridge)
        self.tools = tools
        middlewares = plan.middlewares
        self.isFedByQueue = isFedByQueue
        let plans = try plan.outputs()
        routes = plan.routes
        self.runtime = runtime
        let targets = plans.map(\.target)
        deadLetterOutput = plan.deadLetter.flatMap(targets.firstIndex)
        let deadLetters = DeadLetterBox(runtime: runtime)
        var outputs: [Output] = []
        for output in plans {
            outputs.append(
                try Output(
                    output, spool: plan.spool, collects: isFedByQueue, runtime: runtime, bridge: bridge,
                    onDamage: { damage in deadLetters.add(damage) }))
        }
        self.outputs = outputs
        var passages: [Passage] = []
        outboxOfRoute = routes.map { route in
            let output = targets.firstIndex(of: route.target) ?? 0
            guard !route.middlewares.isEmpty else { return output }
            passages.append(Passage(route, to: outputs[output].outbox, tools: tools, deadLetters: deadLetters))
            return outputs.count + passages.count - 1
        }
        self.passages = passages
        outboxes = outputs.map(\.outbox) + passages.map(\.outbox)
        if let deadLetterOutput { deadLetters.begin(outputs[deadLetterOutput].outbox) }
        intake = Intake(outboxes)
        state = Monitor(State(working: Set(outboxes.indices)))
    }

    /// Blocks until every output has accepted what it was given; false: one failed.
    func isSettled() -> Bool {
        // Passages put what comes out of them into the outboxes of outputs.
        outboxes.reversed().reduce(true) { $1.waitUntilSettled() && $0 }
    }

    /// Routes what the reader brings; blocks until all of it is delivered.
    ///
    /// - Parameter endpoint: nil: somebody else fills the intake.
    /// - Returns: what each route has matched, unless the router is stuck, and why not all is delivered.
    func run(maxLineBytes: Int, from endpoint: String?) -> (counts: [RouteCount], failures: [ToolError]) {
        for index in outputs.indices { BlockingThread.start { self.work(index) } }
        for (index, passage) in passages.enumerated() {
            BlockingThread.start(stackBytes: passage.stackBytes) { self.work(self.outputs.count + index) }
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
        let end = state.wait { state -> State? in
            state.isGivenUp || (!state.routing && state.working.isEmpty) ? state : nil
        }
        guard let end else { return ([], []) }
        var failures = end.failures + end.working.sorted().compactMap(giveUp)
        // Nobody waits for them any longer.
        for index in end.working { outboxes[index].breakOff() }
        let unrouted = unroutedBytes.load(ordering: .relaxed) + intake.waitingBytes
        if unrouted > 0 {
            failures.append(ToolError(.localIO, "gave up on \(unrouted) bytes that were read and not yet routed"))
        }
        return (end.counts ?? [], failures)
    }

    /// Ends the wait for readers and commands, whatever is still undelivered; from any thread.
    func giveUp() { state.update { $0.isGivenUp = true } }

    /// nil: what is not delivered is kept.
    private func giveUp(_ index: Int) -> ToolError? {
        guard index < outputs.count else {
            let passage = passages[index - outputs.count]
            return ToolError(
                .localIO, "gave up on \(passage.name): \(passage.undeliveredBytes) bytes were not delivered")
        }
        let output = outputs[index]
        let bytes = output.undeliveredBytes
        output.giveUp()
        guard bytes > 0 || !output.keepsUndelivered else { return nil }
        return ToolError(.localIO, "gave up on \(output.name): \(bytes) bytes were not delivered")
    }

    private func work(_ index: Int) {
        var failure: ToolError?
        do throws(ToolError) {
            if index < outputs.count { try outputs[index].run() } else { try passages[index - outputs.count].run() }
        } catch {
            failure = error
        }
        state.update { [failure] state in
            state.working.remove(index)
            if let failure { state.failures.append(failure) }
        }
        // What is not read stays where it is; the other outputs finish what they have.
        if failure != nil { runtime.shutdown.request() }
    }

    private func route() {
        var router = Router(runtime: runtime, delivery: self)
        var counts: [RouteCount]?
        var failure: ToolError?
        do throws(ToolError) { counts = try router.run() } catch { failure = error }
        close()
        state.update { [counts, failure] state in
            state.routing = false
            state.counts = counts
            if let failure { state.failures.append(failure) }
        }
    }

    /// Nothing more comes: first for the passages, then for the outputs that they lead to, and at last for the dead letters.
    private func close() {
        for passage in passages { passage.outbox.close() }
        wait { [count = outputs.count] index in index < count }
        for (index, output) in outputs.enumerated() where index != deadLetterOutput { output.outbox.close() }
        for index in outputs.indices where outputs[index].isDropping {
            BlockingThread.start { self.watch(index) }
        }
        wait { [deadLetterOutput] index in index == deadLetterOutput }
        if let deadLetterOutput { outputs[deadLetterOutput].outbox.close() }
    }

    /// Does not wait at the end for an output that may drop events and takes nothing.
    private func watch(_ index: Int) {
        let output = outputs[index]
        var (left, since) = (output.undeliveredBytes, ContinuousClock.now)
        while state.read({ $0.working.contains(index) && !$0.isGivenUp }) {
            usleep(50_000)
            let now = output.undeliveredBytes
            if now != left { (left, since) = (now, .now) }
            guard since.duration(to: .now) > Delivery.patience else { continue }
            runtime.log.warning("nobody takes what is in \(output.name): its last \(left) bytes are dropped")
            output.tellDrops()
            output.giveUp()
            _ = state.update { $0.working.remove(index) }
            return
        }
    }

    private static let patience = Duration.seconds(5)

    /// Waits until only those work that may.
    private func wait(until mayWork: @Sendable (Int) -> Bool) {
        _ = state.wait { state -> Void? in state.isGivenUp || state.working.allSatisfy(mayWork) ? () : nil }
    }
}
