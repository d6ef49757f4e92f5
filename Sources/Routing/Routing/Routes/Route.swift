import Envelope
import JSON
package import Queue
package import System

/// Which events go to which output.
package struct Route: Sendable {
    /// What reports call it.
    let name: String
    /// One of them must match the type.
    let patterns: [TopicPattern]
    /// Of the payload; nil is any.
    let version: Int?
    let target: Target
    /// nil: as for all.
    var overflow: Overflow?
    var retry: RetryPolicy?
    var middlewares = MiddlewarePlan()

    func matches(type: UnsafeRawBufferPointer, version: Int) -> Bool {
        (self.version == nil || self.version == version) && patterns.contains { $0.matches(type) }
    }
}

/// Where a route leads.
package enum Target: Sendable, Hashable {
    case standardOutput
    /// A FIFO or a file.
    case path(String)
    /// A command's standard input.
    case command(String)
    case queue(QueueName)

    /// - Throws: `ToolError` (78) in the user's words.
    package init(_ text: String) throws(ToolError) {
        let queue: QueueName?
        do throws(QueueError) { queue = try QueueName(endpoint: text) } catch {
            throw ToolError(.configuration, "\(text.printable): \(error.message)")
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

    /// As it is written in a route.
    var endpoint: String {
        switch self {
        case .standardOutput: "-"
        case .path, .command, .queue: name
        }
    }

    /// What reports call it.
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
            throw ToolError(.configuration, "\(argument.printable): a route is PATTERN=TARGET")
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
                "\"\(text.printable)\" is no pattern: dotted words, * for one word, # for any number of words")
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
