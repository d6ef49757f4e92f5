import JSON
import Synchronization
import System

/// Runs the middlewares of one route on a thread of its own, and puts the events that they forward into the buffer of the route's
/// output. A slow middleware delays no other route until the worker's own buffer is full.
final class RouteWorker: Sendable {
    let name: String
    /// The buffer for the events that match the route.
    let buffer = OutputBuffer()
    let stackBytes: Int
    private let plan: MiddlewarePlan
    private let tools: MiddlewareTools
    private let target: OutputBuffer
    private let deadLetters: DeadLetterCollector
    /// Is true if the input delivers unhandled events again. If it does, a failed batch is not forwarded in part.
    private let isFedByQueue: Bool
    private let doneBytes = Atomic(0)

    init(
        _ route: Route, to target: OutputBuffer, isFedByQueue: Bool, tools: MiddlewareTools,
        deadLetters: DeadLetterCollector
    ) {
        name = "the middlewares of \(route.name.printable)"
        plan = route.middlewares
        stackBytes = plan.stackBytes
        (self.target, self.tools, self.deadLetters, self.isFedByQueue) = (target, tools, deadLetters, isFedByQueue)
    }

    /// Forwards the events of the buffer until it is closed; blocks.
    func run() throws(ToolError) {
        var chains: [MiddlewareChain] = []
        do throws(ToolError) {
            let before = try plan.before.chain(tools)
            if let before { chains.append(before) }
            let after = try plan.after.chain(tools)
            if let after { chains.append(after) }
            while let batch = buffer.next() {
                try forward(batch, before, after)
                doneBytes.add(batch.bytes, ordering: .relaxed)
            }
        } catch {
            buffer.breakOff()
            // The first of several failures is reported.
            for chain in chains { _ = chain.finish() }
            throw error
        }
        let failures = chains.compactMap { $0.finish() }
        guard let failure = failures.first else { return }
        buffer.breakOff()
        throw failure
    }

    private func forward(_ batch: LineBatch, _ before: MiddlewareChain?, _ after: MiddlewareChain?) throws(ToolError) {
        var lines = batch.copiedLines
        var failure: ToolError?
        if let before {
            let outcome = before.run(lines)
            if let failure = outcome.failure, isFedByQueue { throw failure }
            refuse(outcome, of: lines)
            (lines, failure) = (outcome.lines, outcome.failure)
        }
        if !lines.isEmpty, let place = target.put(LineBatch(lines: lines)), let after,
            target.waitUntilSettled(to: place)
        {
            let outcome = after.run(lines)
            refuse(outcome, of: lines)
            failure = failure ?? outcome.failure
        }
        if let failure { throw failure }
    }

    private func refuse(_ outcome: MiddlewareChain.Outcome, of lines: [Line]) {
        for (refused, origin) in outcome.refused { deadLetters.add(refused, origin: lines[origin].bytes) }
    }

    var undeliveredBytes: Int { buffer.totalBytes - doneBytes.load(ordering: .relaxed) }
}
