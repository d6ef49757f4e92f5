import Config
import JSON
import JSONSchema
import Logging
import Options
import RateLimits
import Redis
import Stage
import System

/// Describes a middleware, as in the file.
enum MiddlewareSpec: Sendable {
    case correlationGuard
    case schema(folder: String?, refusesUnknown: Bool)
    case access(AccessGuard.Allowed)
    case limit(LimitSpec)
    case count(name: String, every: Duration)
    case log(name: String, level: Logger.Level)
    case exec(command: String, timeout: Duration, retry: RetryPolicy)

    /// Holds the settings of `ratelimit`.
    struct LimitSpec: Sendable {
        var rule: RateLimit
        var key = EventKey.user
        var mode = RateMode.checkAndCount
        var action = LimitAction.mark
        var exemptRoles: Set<String> = ["admin"]
        var failure = FailureMode.open
    }

    /// The stack that the middleware's thread needs.
    var stackBytes: Int {
        if case .schema = self { SchemaSet.stackBytes } else { 512 << 10 }
    }

    /// Makes the middleware.
    ///
    /// - Throws: `ToolError`, for example if Redis refuses the password or a program cannot be started.
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
        case .count(let name, let every): return EventCounter(name: name, interval: every, log: log)
        case .log(let name, let level): return EventLog(name: name, level: level, log: log)
        case .exec(let command, let timeout, let retry):
            return try ExecFilter(
                command: command, timeout: timeout, retry: retry, maxLineBytes: tools.maxLineBytes, log: log)
        }
    }
}

/// Holds what outputs and middlewares need from the tool.
struct MiddlewareTools: Sendable {
    let runtime: Runtime
    let bridge: AsyncBridge
    let maxLineBytes: Int
}

/// Lists the middlewares before and after a delivery.
struct MiddlewarePlan: Sendable {
    var before: [MiddlewareSpec] = []
    var after: [MiddlewareSpec] = []

    var isEmpty: Bool { before.isEmpty && after.isEmpty }
    var stackBytes: Int { (before + after).map(\.stackBytes).max() ?? 512 << 10 }
}

extension [MiddlewareSpec] {
    /// Makes the chain of these middlewares; nil if there are none.
    func chain(_ tools: MiddlewareTools) throws(ToolError) -> MiddlewareChain? {
        guard !isEmpty else { return nil }
        var middlewares: [any Middleware] = []
        for spec in self { middlewares.append(try spec.middleware(tools)) }
        return MiddlewareChain(middlewares)
    }
}

/// Reads the middlewares in the TOML file: `before` and `after` are lists of names and of tables `{ use = "NAME", … }`.
struct MiddlewareFile {
    private static let names = "correlation-guard, schema, access, ratelimit, count, log or exec:PROGRAM"

    /// The table that contains the lists.
    private let table: ConfigTable
    /// The name of middlewares that have none of their own.
    private let owner: String

    static func plan(_ table: ConfigTable, owner: String) throws(ConfigError) -> MiddlewarePlan {
        let file = MiddlewareFile(table: table, owner: owner)
        return MiddlewarePlan(before: try file.specs("before"), after: try file.specs("after"))
    }

    private func specs(_ key: String) throws(ConfigError) -> [MiddlewareSpec] {
        guard let value = table[key] else { return [] }
        guard let values = value.array else { throw table.fault(of: key, "\(key) must be a list of middlewares") }
        var specs: [MiddlewareSpec] = []
        for value in values { specs.append(try spec(value, key)) }
        return specs
    }

    private func spec(_ value: ConfigValue, _ key: String) throws(ConfigError) -> MiddlewareSpec {
        if let name = value.string { return try spec(name, ConfigTable(empty: value, in: table)) }
        guard let options = ConfigTable(value, in: table), let name = try options.string("use") else {
            throw table.fault(
                "\(key) needs names, or tables such as { use = \"count\", every = \"60s\" }", line: value.line
            )
        }
        return try spec(name, options)
    }

    private func spec(_ name: String, _ options: ConfigTable) throws(ConfigError) -> MiddlewareSpec {
        switch name {
        case "correlation-guard":
            try options.check(known: ["use"])
            return .correlationGuard
        case "schema": return try schema(options)
        case "access": return try access(options)
        case "ratelimit": return .limit(try limit(options))
        case "count":
            try options.check(known: ["use", "name", "every"])
            return .count(
                name: try options.string("name") ?? owner, every: try RouteFile.span(options, "every") ?? .seconds(60))
        case "log":
            try options.check(known: ["use", "name", "level"])
            return .log(
                name: try options.string("name") ?? owner,
                level: try choice(options, "level", Logger.Level.allCases) ?? .info)
        default: return try exec(name, options)
        }
    }

    private func exec(_ name: String, _ options: ConfigTable) throws(ConfigError) -> MiddlewareSpec {
        let command = name.hasPrefix("exec:") ? String(name.dropFirst("exec:".count)) : ""
        guard command.contains(where: { !$0.isWhitespace }) else {
            throw options.fault("\"\(name.printable)\" is not a middleware: \(MiddlewareFile.names)")
        }
        try options.check(known: ["use", "timeout", "retry"])
        return .exec(
            command: command, timeout: try RouteFile.span(options, "timeout") ?? .seconds(30),
            retry: try RouteFile.retry(options) ?? .commands)
    }

    private func schema(_ options: ConfigTable) throws(ConfigError) -> MiddlewareSpec {
        try options.check(known: ["use", "folder", "unknown"])
        let unknown = try options.value("unknown", "pass or refuse") { value in
            value.string == "pass" ? false : value.string == "refuse" ? true : nil
        }
        return .schema(folder: try options.string("folder"), refusesUnknown: unknown ?? false)
    }

    private func access(_ options: ConfigTable) throws(ConfigError) -> MiddlewareSpec {
        try options.check(known: ["use", "roles", "actors", "chats"])
        let roles = try options.strings("roles", "a role or a list of roles")
        if let stranger = roles?.first(where: { !AccessGuard.allRoles.contains($0) }) {
            throw options.fault(
                of: "roles", "\"\(stranger.printable)\" is not a role: \(AccessGuard.allRoles.joined(separator: ", "))")
        }
        let (actors, chats) = (try numbers(options, "actors"), try numbers(options, "chats"))
        let all = actors == nil && chats == nil ? AccessGuard.allRoles : []
        return .access(
            AccessGuard.Allowed(roles: Set(roles ?? all), actors: Set(actors ?? []), chats: Set(chats ?? [])))
    }

    private func numbers(_ options: ConfigTable, _ key: String) throws(ConfigError) -> [Int64]? {
        try options.value(key, "a list of numeric ids") { value in
            guard let list = value.array else { return value.integer.map { [$0] } }
            let numbers = list.compactMap(\.integer)
            return numbers.count == list.count && !list.isEmpty ? numbers : nil
        }
    }

    private func choice<Value: RawRepresentable<String>>(
        _ options: ConfigTable, _ key: String, _ all: [Value]
    ) throws(ConfigError) -> Value? {
        try options.value(key, "one of \(all.map(\.rawValue).joined(separator: ", "))") { value in
            value.string.flatMap(Value.init(rawValue:))
        }
    }
}

extension MiddlewareFile {
    private static let limitKeys = [
        "use", "name", "limit", "window", "key", "algorithm", "burst", "mode", "on_limit", "exempt_roles", "fail",
    ]

    private func limit(_ options: ConfigTable) throws(ConfigError) -> MiddlewareSpec.LimitSpec {
        try options.check(known: MiddlewareFile.limitKeys)
        guard let limit = try count(options, "limit") else {
            throw options.fault("ratelimit needs a limit, such as { use = \"ratelimit\", limit = 5, window = \"60s\" }")
        }
        let key = try options.value("key", "user, chat, or the path of a field, such as payload.url") { value in
            value.string.flatMap { EventKey(argument: $0) }
        }
        let window = try RouteFile.span(options, "window") ?? .seconds(60)
        let given = "\(owner)-\(key ?? .user)-\(window.spanText)"
        let name =
            try options.string("name") ?? String(given.map { RateLimit.isAllowedInName($0) ? $0 : "_" }.prefix(200))
        let algorithm = try choice(options, "algorithm", RateLimit.Algorithm.allCases) ?? .fixed
        let burst = try count(options, "burst")
        var spec: MiddlewareSpec.LimitSpec
        do throws(RedisError) {
            spec = .init(
                rule: try RateLimit(
                    name: name, algorithm: algorithm, limit: limit, window: window, burst: burst)
            )
        } catch {
            throw options.fault(error.message)
        }
        spec.key = key ?? spec.key
        spec.mode = try choice(options, "mode", RateMode.allCases) ?? spec.mode
        spec.action = try choice(options, "on_limit", LimitAction.allCases) ?? spec.action
        spec.failure = try choice(options, "fail", FailureMode.allCases) ?? spec.failure
        if let roles = try options.strings("exempt_roles", "a role or a list of roles") {
            spec.exemptRoles = Set(roles)
        }
        return spec
    }

    private func count(_ options: ConfigTable, _ key: String) throws(ConfigError) -> Int? {
        try options.value(key, "a whole number from 1") { value in
            value.integer.flatMap { $0 >= 1 ? Int(exactly: $0) : nil }
        }
    }
}
