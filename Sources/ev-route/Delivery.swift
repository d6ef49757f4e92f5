import Blocking
import Envelope
import Glibc
import Logging
import Stage
import Synchronization

/// The outputs of all routes at work, and how they end: all of them done, or given up.
final class Delivery: Sendable {
    private struct State {
        var routing = true
        var counts: [RouteCount]?
        /// Indices of the outputs that are at work.
        var working: Set<Int>
        var failures: [StageError] = []
        var isGivenUp = false
    }

    let routes: [Route]
    let outputs: [Output]
    let outputOfRoute: [Int]
    let deadLetterOutput: Int?
    let intake: Intake
    /// Of the block that the router is in the middle of, while it waits there.
    let unroutedBytes = Atomic(0)
    /// Whether lines that no output gets are given back at the next barrier.
    let keepsUnwanted: Bool
    private let runtime: Runtime
    private let state: Monitor<State>

    /// Opens every output. Routes with the same target share it.
    init(_ plan: Plan, keepsUnwanted: Bool, runtime: Runtime, bridge: TaskBridge) throws(StageError) {
        self.keepsUnwanted = keepsUnwanted
        let plans = try plan.outputs()
        routes = plan.routes
        self.runtime = runtime
        let targets = plans.map(\.target)
        outputOfRoute = routes.map { targets.firstIndex(of: $0.target) ?? 0 }
        deadLetterOutput = plan.deadLetter.flatMap(targets.firstIndex)
        let deadLetters = DeadLetterBox(runtime: runtime)
        var outputs: [Output] = []
        for output in plans {
            outputs.append(
                try Output(output, spool: plan.spool, runtime: runtime, bridge: bridge) { damage in
                    deadLetters.add(damage)
                })
        }
        self.outputs = outputs
        if let deadLetterOutput { deadLetters.begin(outputs[deadLetterOutput].outbox) }
        intake = Intake(outputs: outputs)
        state = Monitor(State(working: Set(outputs.indices)))
    }

    /// Blocks until every output has accepted what it was given; false: one failed.
    func isSettled() -> Bool { outputs.reduce(true) { $1.outbox.waitUntilSettled() && $0 } }

    /// Routes what the reader brings; blocks until all of it is delivered.
    ///
    /// - Parameter endpoint: nil: somebody else fills the intake.
    /// - Returns: what each route has matched, unless the router is stuck, and why not all is delivered.
    func run(maxLineBytes: Int, from endpoint: String?) -> (counts: [RouteCount], failures: [StageError]) {
        for index in outputs.indices { BlockingThread.start { self.write(index) } }
        if let endpoint {
            BlockingThread.start {
                self.intake.read(
                    LineReader(
                        endpoint: endpoint, maxLineBytes: maxLineBytes, blockBytes: BlockBudget.blockBytes,
                        shutdown: self.runtime.shutdown))
            }
        }
        BlockingThread.start { self.route() }
        let end = state.wait { state -> State? in
            state.isGivenUp || (!state.routing && state.working.isEmpty) ? state : nil
        }
        guard let end else { return ([], []) }
        var failures = end.failures + end.working.sorted().compactMap { giveUp(outputs[$0]) }
        // Nobody waits for them any longer.
        for index in end.working { outputs[index].outbox.breakOff() }
        let unrouted = unroutedBytes.load(ordering: .relaxed) + intake.waitingBytes
        if unrouted > 0 {
            failures.append(StageError(.localIO, "gave up on \(unrouted) bytes that were read and not yet routed"))
        }
        return (end.counts ?? [], failures)
    }

    /// Ends the wait for readers and commands, whatever is still undelivered; from any thread.
    func giveUp() { state.update { $0.isGivenUp = true } }

    /// nil: what is not delivered is kept.
    private func giveUp(_ output: Output) -> StageError? {
        let bytes = output.undeliveredBytes
        output.giveUp()
        guard bytes > 0 || !output.keepsUndelivered else { return nil }
        return StageError(.localIO, "gave up on \(output.name): \(bytes) bytes were not delivered")
    }

    private func write(_ index: Int) {
        var failure: StageError?
        do throws(StageError) { try outputs[index].run() } catch { failure = error }
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
        var failure: StageError?
        do throws(StageError) { counts = try router.run() } catch { failure = error }
        for output in outputs { output.outbox.close() }
        state.update { [counts, failure] state in
            state.routing = false
            state.counts = counts
            if let failure { state.failures.append(failure) }
        }
    }
}
