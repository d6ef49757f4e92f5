import System
import Options
import RateLimits
import Logging
import Redis
import JSONSchema
import Stage

/// A middleware as the file describes it.
enum MiddlewareSpec: Sendable {
    case correlationGuard
    case schema(folder: String?, refusesUnknown: Bool)
    case access(AccessGuard.Allowed)
    case limit(LimitSpec)
    case count(name: String, every: Duration)
    case log(name: String, level: Logger.Level)
    case exec(command: String, timeout: Duration, retry: RetryPolicy)

    /// What `ratelimit` takes.
    struct LimitSpec: Sendable {
        var rule: RateLimit
        var key = EventKey.user
        var mode = RateMode.checkAndCount
        var action = LimitAction.mark
        var exemptRoles: Set<String> = ["admin"]
        var failure = FailureMode.open
    }

    /// Whether its thread needs much stack.
    var stackBytes: Int {
        if case .schema = self { SchemaSet.stackBytes } else { 512 << 10 }
    }

    /// - Throws: `ToolError`, as when Redis refuses the password or a program is not there.
    func middleware(_ tools: MiddlewareTools) throws(ToolError) -> any Middleware {
        let log = tools.runtime.log
        switch self {
        case .correlationGuard: return CorrelationGuard()
        case .schema(let folder, let refusesUnknown):
            return try SchemaCheck(
                folder: folder ?? Settings.environment("TGPIPE_SCHEMAS"), refusesUnknown: refusesUnknown)
        case .access(let allowed): return AccessGuard(allowed)
        case .limit(let spec):
            return try LimitMiddleware(
                rule: spec.rule, key: spec.key, mode: spec.mode, action: spec.action, exemptRoles: spec.exemptRoles,
                failure: spec.failure, runtime: tools.runtime, bridge: tools.bridge)
        case .count(let name, let every): return EventCount(name: name, interval: every, log: log)
        case .log(let name, let level): return EventLog(name: name, level: level, log: log)
        case .exec(let command, let timeout, let retry):
            return try ExecFilter(
                command: command, timeout: timeout, retry: retry, maxLineBytes: tools.maxLineBytes, log: log)
        }
    }
}

/// What middlewares are made with.
struct MiddlewareTools: Sendable {
    let runtime: Runtime
    let bridge: TaskBridge
    let maxLineBytes: Int
}

/// Middlewares before and after a delivery.
struct MiddlewarePlan: Sendable {
    var before: [MiddlewareSpec] = []
    var after: [MiddlewareSpec] = []

    var isEmpty: Bool { before.isEmpty && after.isEmpty }
    var stackBytes: Int { (before + after).map(\.stackBytes).max() ?? 512 << 10 }
}

extension [MiddlewareSpec] {
    /// nil: there are none.
    func chain(_ tools: MiddlewareTools) throws(ToolError) -> MiddlewareChain? {
        guard !isEmpty else { return nil }
        var middlewares: [any Middleware] = []
        for spec in self { middlewares.append(try spec.middleware(tools)) }
        return MiddlewareChain(middlewares)
    }
}
