package import Config
import JSON
import Options
import Spool
import System

/// Reads the TOML file of `--config`.
///
/// ```toml
/// dead_letter = "run/dead.ndjson"
/// overflow = "block"              # or "drop", "spool": for routes without one of their own
/// spool = "/var/lib/tgpipe/spool"
/// spool_size = "1G"
/// spool_full = "block"            # or "drop"
/// spool_sync = false
///
/// [[route]]
/// name = "media"                  # the name in reports; default: the patterns
/// match = ["commands.media.#"]    # or one pattern
/// version = 1                     # of the payload; default: any
/// to = "run/media.fifo"
/// overflow = "spool"
/// before = ["access", { use = "ratelimit", limit = 5, window = "60s" }]
/// after = ["count"]
/// retry = { attempts = 10, first = "100ms", longest = "10s" }
/// ```
package enum RouteFile {
    /// Adds the contents of a file to a plan.
    ///
    /// - Throws: `ConfigError` (78) that names the line.
    package static func read(_ path: String, into plan: inout RoutingPlan) throws(ConfigError) {
        try read(ConfigFile.table(path: path), into: &plan)
    }

    static func read(_ top: ConfigTable, into plan: inout RoutingPlan) throws(ConfigError) {
        try top.check(known: [
            "dead_letter", "overflow", "spool", "spool_size", "spool_full", "spool_sync", "before", "after", "route",
        ])
        if let text = try top.string("dead_letter") {
            plan.deadLetter = try top.read("dead_letter") { () throws(ToolError) in try Target(text) }
        }
        plan.overflow = try overflow(top) ?? plan.overflow
        plan.spool.folder = try top.string("spool") ?? plan.spool.folder
        try readLimits(top, into: &plan.spool.limits)
        plan.middlewares = try MiddlewareFile.plan(top, owner: "all")
        for (index, table) in try top.tables("route").enumerated() {
            plan.routes.append(try route(table, number: index + 1))
        }
    }

    private static func overflow(_ table: ConfigTable) throws(ConfigError) -> Overflow? {
        try table.value("overflow", "block, drop or spool") { $0.string.flatMap(Overflow.init) }
    }

    private static func readLimits(_ top: ConfigTable, into limits: inout SpoolLimits) throws(ConfigError) {
        let size = try top.value("spool_size", "a size of 1M at least, as \"500M\" or \"2G\"") { value in
            value.string.flatMap { ByteSize(argument: $0) }.flatMap {
                $0.bytes >= SpoolLimits.smallestBytes ? $0.bytes : nil
            }
        }
        limits.totalBytes = size ?? limits.totalBytes
        let whenFull = try top.value("spool_full", "block or drop") { $0.string.flatMap(SpoolLimits.WhenFull.init) }
        limits.whenFull = whenFull ?? limits.whenFull
        limits.syncs = try top.value("spool_sync", "true or false", \.bool) ?? limits.syncs
    }

    private static func route(_ table: ConfigTable, number: Int) throws(ConfigError) -> Route {
        try table.check(known: ["name", "match", "version", "to", "overflow", "retry", "before", "after"])
        guard let patterns = try table.strings("match", "a pattern or a list of patterns") else {
            throw table.fault("route \(number) has no match")
        }
        guard let target = try table.string("to") else { throw table.fault("route \(number) has no to") }
        let version = try table.value("version", "a whole number from 1") { value in
            value.integer.flatMap { $0 >= 1 ? Int(exactly: $0) : nil }
        }
        let name = try table.string("name") ?? patterns.joined(separator: ",")
        return Route(
            name: name, patterns: try table.read("match") { () throws(ToolError) in try patterns.map(Route.pattern) },
            version: version, target: try table.read("to") { () throws(ToolError) in try Target(target) },
            overflow: try overflow(table), retry: try retry(table),
            middlewares: try MiddlewareFile.plan(table, owner: name))
    }

    static func retry(_ route: ConfigTable) throws(ConfigError) -> RetryPolicy? {
        guard let value = route["retry"] else { return nil }
        guard let table = ConfigTable(value, in: route) else {
            throw route.fault(
                of: "retry", "retry is a table such as { attempts = 10, first = \"100ms\", longest = \"10s\" }")
        }
        try table.check(known: ["attempts", "first", "longest"])
        var policy = RetryPolicy.commands
        let attempts = try table.value("attempts", "a whole number; 0 for ever") { value in
            value.integer.flatMap { $0 >= 0 ? Int(exactly: $0) : nil }
        }
        if let attempts { policy.attempts = attempts == 0 ? nil : attempts }
        let first = try span(table, "first") ?? policy.backoff.first
        let longest = try span(table, "longest") ?? policy.backoff.longest
        policy.backoff = Backoff(first: first, longest: max(longest, first))
        return policy
    }

    static func span(_ table: ConfigTable, _ key: String) throws(ConfigError) -> Duration? {
        try table.value(key, "a duration, as \"500ms\" or \"1m30s\"") { $0.string.flatMap { Duration(spanText: $0) } }
    }
}

extension ConfigTable {
    /// Adds the file and line of a key to the error of its value.
    func read<Value>(_ key: String, _ body: () throws(ToolError) -> Value) throws(ConfigError) -> Value {
        do throws(ToolError) { return try body() } catch { throw fault(of: key, error.message) }
    }
}
