import ArgumentParser
import JSON
import Options
import Routing
import Spool
import System

/// Parses `--overflow POLICY` or `--overflow TARGET=POLICY`.
struct OverflowOption: ExpressibleByArgument, Sendable {
    /// The target as it is written in its route; nil for all targets.
    let target: String?
    let overflow: Overflow

    init?(argument: String) {
        let equals = argument.lastIndex(of: "=")
        let policy = equals.map { argument[argument.index(after: $0)...] } ?? argument[...]
        guard let overflow = Overflow(rawValue: String(policy)) else { return nil }
        self.overflow = overflow
        target = equals.map { String(argument[..<$0]) }
    }
}

/// Holds the flags for outputs that do not keep up.
struct OverflowOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The policy for events of a slow or absent reader: block (the input waits; the default), drop, or spool (they "
                + "wait on disk). For one output: TARGET=POLICY, the target as in its route. May be repeated.",
            valueName: "policy"))
    var overflow: [OverflowOption] = []

    @Option(help: ArgumentHelp("The folder of the spools. Default: spool in the state folder.", valueName: "folder"))
    var spool: String?

    @Option(help: ArgumentHelp("The largest size of a spool. Default: 1G.", valueName: "size"))
    var spoolSize: ByteSize?

    @Option(help: ArgumentHelp("The policy of a full spool: block or drop. Default: block.", valueName: "policy"))
    var spoolFull: SpoolLimits.WhenFull?

    @Flag(help: "Write spooled events through to the disk before continuing: slower, but safe against power failures.")
    var spoolSync = false

    func validate() throws {
        if let spoolSize, spoolSize.bytes < SpoolLimits.smallestBytes {
            throw ValidationError("--spool-size must be 1M at least")
        }
        if spool?.isEmpty == true { throw ValidationError("--spool needs a folder") }
    }

    func apply(to plan: inout RoutingPlan) throws(ToolError) {
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

extension Overflow: ExpressibleByArgument {}
