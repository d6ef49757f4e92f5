import ArgumentParser
import Spool
import Stage

/// What ev-route is to do: flags and file together.
struct Plan: Sendable {
    var routes: [Route] = []
    var deadLetter: Target?
    /// Of routes that say nothing else.
    var overflow = Overflow.block
    /// By flags, which win over the file.
    var overflowOfTarget: [Target: Overflow] = [:]
    var spool: SpoolPlan
    /// Of all events.
    var middlewares = MiddlewarePlan()

    /// Each target once, with what its routes say of it.
    ///
    /// - Throws: `StageError` (78) when they contradict each other.
    func outputs() throws(StageError) -> [OutputPlan] {
        var outputs: [OutputPlan] = []
        for target in routes.map(\.target) + [deadLetter].compactMap({ $0 })
        where !outputs.contains(where: { $0.target == target }) {
            outputs.append(try output(target))
        }
        for target in overflowOfTarget.keys where !outputs.contains(where: { $0.target == target }) {
            throw StageError(.configuration, "--overflow \(target.endpoint.printable)=…: no route leads there")
        }
        return outputs
    }

    private func output(_ target: Target) throws(StageError) -> OutputPlan {
        let sharing = routes.filter { $0.target == target }
        let (wishes, retries) = (Set(sharing.compactMap(\.overflow)), Set(sharing.compactMap(\.retry)))
        let chosen = overflowOfTarget[target]
        guard wishes.count <= 1 || chosen != nil else {
            throw StageError(.configuration, "routes to \(target.name.printable) have different values of overflow")
        }
        guard retries.count <= 1 else {
            throw StageError(.configuration, "routes to \(target.name.printable) have different values of retry")
        }
        return OutputPlan(
            target: target, overflow: chosen ?? wishes.first ?? overflow, retry: retries.first ?? RetryPolicy())
    }
}

/// One output.
struct OutputPlan: Sendable {
    let target: Target
    let overflow: Overflow
    let retry: RetryPolicy
}

/// The flags about outputs that do not keep up.
struct OverflowOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What happens to events for a slow or absent reader: block (the input waits; the default), drop, or spool (they "
                + "wait on disk). For one output: TARGET=POLICY, the target as in its route. May be repeated.",
            valueName: "policy"))
    var overflow: [OverflowOption] = []

    @Option(help: ArgumentHelp("The folder of the spools. Default: spool in the state folder.", valueName: "folder"))
    var spool: String?

    @Option(help: ArgumentHelp("How large a spool may grow. Default: 1G.", valueName: "size"))
    var spoolSize: ByteSize?

    @Option(help: ArgumentHelp("What a full spool does: block or drop. Default: block.", valueName: "policy"))
    var spoolFull: SpoolLimits.WhenFull?

    @Flag(help: "Have spooled events on the disk itself before going on: slower, but safe against power failures.")
    var spoolSync = false

    func validate() throws {
        if let spoolSize, spoolSize.bytes < SpoolLimits.smallestBytes {
            throw ValidationError("--spool-size must be 1M at least")
        }
        if spool?.isEmpty == true { throw ValidationError("--spool needs a folder") }
    }

    func apply(to plan: inout Plan) throws(StageError) {
        for option in overflow {
            if let target = option.target {
                plan.overflowOfTarget[try Target(target)] = option.overflow
            } else {
                plan.overflow = option.overflow
            }
        }
        if let spool { plan.spool.folder = spool }
        if let spoolSize { plan.spool.limits.totalBytes = spoolSize.bytes }
        if let spoolFull { plan.spool.limits.whenFull = spoolFull }
        if spoolSync { plan.spool.limits.syncs = true }
    }
}

extension SpoolLimits.WhenFull: ExpressibleByArgument {}
