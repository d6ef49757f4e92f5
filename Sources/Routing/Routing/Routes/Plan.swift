import JSON
import Spool
import System

/// What ev-route is to do: flags and file together.
package struct Plan: Sendable {
    package var routes: [Route] = []
    package var deadLetter: Target?
    /// Of routes that say nothing else.
    package var overflow = Overflow.block
    /// By flags, which win over the file.
    package var overflowOfTarget: [Target: Overflow] = [:]
    package var spool: SpoolPlan
    /// Of all events.
    var middlewares = MiddlewarePlan()

    package init(spool: SpoolPlan) { self.spool = spool }

    /// Each target once, with what its routes say of it.
    ///
    /// - Throws: `ToolError` (78) when they contradict each other.
    func outputs() throws(ToolError) -> [OutputPlan] {
        var outputs: [OutputPlan] = []
        for target in routes.map(\.target) + [deadLetter].compactMap({ $0 })
        where !outputs.contains(where: { $0.target == target }) {
            outputs.append(try output(target))
        }
        for target in overflowOfTarget.keys where !outputs.contains(where: { $0.target == target }) {
            throw ToolError(.configuration, "--overflow \(target.endpoint.printable)=…: no route leads there")
        }
        return outputs
    }

    private func output(_ target: Target) throws(ToolError) -> OutputPlan {
        let sharing = routes.filter { $0.target == target }
        let (wishes, retries) = (Set(sharing.compactMap(\.overflow)), Set(sharing.compactMap(\.retry)))
        let chosen = overflowOfTarget[target]
        guard wishes.count <= 1 || chosen != nil else {
            throw ToolError(.configuration, "routes to \(target.name.printable) have different values of overflow")
        }
        guard retries.count <= 1 else {
            throw ToolError(.configuration, "routes to \(target.name.printable) have different values of retry")
        }
        return OutputPlan(
            target: target, overflow: chosen ?? wishes.first ?? overflow, retry: retries.first ?? .commands)
    }
}

/// One output.
struct OutputPlan: Sendable {
    let target: Target
    let overflow: Overflow
    let retry: RetryPolicy
}
