import Envelope
import JSON
package import Queue
import Spool
package import System

/// Holds the routes and policies from the flags and the file.
package struct RoutingPlan: Sendable {
    package var routes: [Route] = []
    package var deadLetter: Target?
    /// The policy of routes without one of their own.
    package var overflow = Overflow.block
    /// The policies from flags, which take precedence over the file.
    package var overflowOfTarget: [Target: Overflow] = [:]
    package var spool: SpoolPlan
    /// Is true if a line without a correlation id gets a new one.
    package var stamps = false
    /// The middlewares of all events.
    var middlewares = MiddlewarePlan()

    package init(spool: SpoolPlan) { self.spool = spool }

    /// Returns each target once, with the policies of its routes.
    ///
    /// - Throws: `ToolError` (78) when they contradict each other.
    func outputs() throws(ToolError) -> [OutputPlan] {
        var outputs: [OutputPlan] = []
        for target in routes.map(\.target) + [deadLetter].compactMap({ $0 })
        where !outputs.contains(where: { $0.target == target }) {
            outputs.append(try output(target))
        }
        for target in overflowOfTarget.keys where !outputs.contains(where: { $0.target == target }) {
            throw ToolError(.configuration, "--overflow \(target.endpoint.printable)=…: no route has this target")
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

/// Holds the settings of one output.
struct OutputPlan: Sendable {
    let target: Target
    let overflow: Overflow
    let retry: RetryPolicy
}

/// Sends the events that match to one target.
package struct Route: Sendable {
    /// The name in reports.
    let name: String
    /// The patterns, of which one must match the type.
    let patterns: [TopicPattern]
    /// The version of the payload that matches; nil for any.
    let version: Int?
    let target: Target
    /// The overflow policy; nil for that of the plan.
    var overflow: Overflow?
    var retry: RetryPolicy?
    var middlewares = MiddlewarePlan()

    func matches(type: UnsafeRawBufferPointer, version: Int) -> Bool {
        (self.version == nil || self.version == version) && patterns.contains { $0.matches(type) }
    }
}

/// Names the destination of a route.
package enum Target: Sendable, Hashable {
    case standardOutput
    /// A FIFO or a file.
    case path(String)
    /// A command's standard input.
    case command(String)
    case queue(QueueName)

    /// Parses `-`, a path, `exec:COMMAND` or `queue:NAME`.
    ///
    /// - Throws: `ToolError` (78).
    package init(_ text: String) throws(ToolError) {
        let queue: QueueName?
        do throws(QueueError) { queue = try QueueName(endpoint: text) } catch {
            // An address may hold a password.
            let place = QueueName.isAddress(text) ? "" : "\(text.printable): "
            throw ToolError(.configuration, place + error.message)
        }
        if let queue {
            self = .queue(queue)
        } else if text.hasPrefix("exec:") {
            let command = String(text.dropFirst("exec:".count))
            guard command.contains(where: { !$0.isWhitespace }) else {
                throw ToolError(.configuration, "exec: needs a command")
            }
            self = .command(command)
        } else {
            guard !text.isEmpty else {
                throw ToolError(.configuration, "a target is missing: -, a path, exec:COMMAND or queue:NAME")
            }
            self = text == "-" ? .standardOutput : .path(text)
        }
    }

    /// The target as it is written in a route.
    var endpoint: String {
        switch self {
        case .standardOutput: "-"
        case .path, .command, .queue: name
        }
    }

    /// The name in reports.
    var name: String {
        switch self {
        case .standardOutput: "standard output"
        case .path(let path): path
        case .command(let command): "exec:\(command)"
        case .queue(let queue): queue.description
        }
    }
}

extension Route {
    /// Parses `PATTERN=TARGET` or `PATTERN@VERSION=TARGET`.
    ///
    /// - Throws: `ToolError` (78) when the text has another form.
    package init(parsing argument: String) throws(ToolError) {
        guard let equals = argument.firstIndex(of: "=") else {
            throw ToolError(.configuration, "\(argument.printable): write a route as PATTERN=TARGET")
        }
        let words = argument[..<equals].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let pattern = String(words.first ?? "")
        self.init(
            name: String(argument[..<equals]), patterns: [try Route.pattern(pattern)],
            version: words.count > 1 ? try Route.version(String(words[1])) : nil,
            target: try Target(String(argument[argument.index(after: equals)...])))
    }

    static func pattern(_ text: String) throws(ToolError) -> TopicPattern {
        guard let pattern = TopicPattern(text) else {
            throw ToolError(
                .configuration,
                "\"\(text.printable)\" is not a pattern: dotted words, * for one word, # for any number of words")
        }
        return pattern
    }

    private static func version(_ text: String) throws(ToolError) -> Int {
        guard let version = Int(text), version >= 1 else {
            throw ToolError(.configuration, "@\(text.printable): a version is a whole number from 1")
        }
        return version
    }
}
