public import ArgumentParser
package import Envelope
import Glibc
import JSON
public import Logging
import Queue
import Redis

/// What every tool takes.
package struct CommonOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Redis: unix:/path or redis://host:port. Default: a private one. [env: TGPIPE_REDIS]", valueName: "address")
    )
    package var redis: String?

    @Option(help: ArgumentHelp("Folder for state and media. [env: TGPIPE_STATE]", valueName: "folder"))
    package var stateDir: String?

    @Option(help: ArgumentHelp("trace, debug, info, notice, warning or error. [env: TGPIPE_LOG]", valueName: "level"))
    package var logLevel: Logger.Level?

    @Option(help: ArgumentHelp("human or json. Default: human on a terminal. [env: TGPIPE_LOG]", valueName: "format"))
    package var logFormat: LogFormat?

    @Option(
        help: ArgumentHelp("How long work in flight may take to finish after SIGTERM or SIGINT.", valueName: "duration")
    )
    package var drain: Span = Span(.seconds(30))

    package init() {}
}

/// What every tool takes that reads envelopes.
package struct InputOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Where envelopes come from: -, the path of a file or FIFO, or queue:NAME.", valueName: "endpoint"))
    package var from: String = "-"

    @Option(help: ArgumentHelp("Where malformed lines go, with the reason. Default: into the log.", valueName: "path"))
    package var deadLetter: String?

    @Option(help: ArgumentHelp("The longest line accepted.", valueName: "size"))
    package var maxLine: ByteSize = ByteSize(8 << 20)

    @OptionGroup(title: "Reading from a queue") package var queue: QueueOptions

    /// Whether what fails can be tried again, by this tool or another.
    package var isFromQueue: Bool { from.hasPrefix("queue:") }

    package init() {}

    package func validate() throws {
        try Endpoint.check(from, "--from")
        // A parser of JSON holds several times the size of its input.
        guard (1024...(1 << 30)).contains(maxLine.bytes) else {
            throw ValidationError("--max-line must be from 1K to 1G")
        }
    }
}

/// What every tool takes that writes envelopes.
package struct OutputOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp("Where envelopes go: -, the path of a file or FIFO, or queue:NAME.", valueName: "endpoint"))
    package var to: String = "-"

    @Option(
        help: ArgumentHelp(
            "How many events a queue may hold; when it is full, --to waits for room.", valueName: "count"))
    package var maxLength: Int = 1_000_000

    package init() {}

    /// Whether an event that was accepted there outlasts a loss of power: then what it speaks of has to as well.
    package var isDurable: Bool { to.hasPrefix("queue:") }

    package func validate() throws {
        try Endpoint.check(to, "--to")
        guard maxLength > 0 else { throw ValidationError("--max-length must be 1 or more") }
    }
}

/// What every tool takes that can read from a queue.
package struct QueueOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Workers of one group share the events; each group gets all of them. Default: the tool's name.",
            valueName: "name"))
    package var group: String?

    @Option(help: ArgumentHelp("A worker that is silent for so long is taken to be dead.", valueName: "duration"))
    package var lease: Span = Span(.seconds(30))

    @Option(help: ArgumentHelp("After so many attempts an event goes to the queue's dead letters.", valueName: "count"))
    package var maxAttempts: Int = 5

    @Option(
        help: ArgumentHelp("The pause after a first failure, at most; it doubles with each.", valueName: "duration"))
    package var backoff: Span = Span(.seconds(1))

    @Option(help: ArgumentHelp("The longest such pause.", valueName: "duration"))
    package var maxBackoff: Span = Span(.seconds(300))

    package init() {}

    package func validate() throws {
        guard (.milliseconds(500)...(.seconds(86_400))).contains(lease.duration) else {
            throw ValidationError("--lease must be from 500ms to 1d")
        }
        guard (1...1000).contains(maxAttempts) else { throw ValidationError("--max-attempts must be from 1 to 1000") }
    }

    /// Full jitter: anything up to a limit that doubles with each attempt.
    ///
    /// - Parameter attempt: the one that failed, from 1.
    package func pause(after attempt: Int) -> Duration {
        let limit = min(maxBackoff.duration, backoff.duration * (1 << min(attempt - 1, 30)))
        return limit * Double.random(in: 0...1)
    }
}

enum Endpoint {
    static func check(_ text: String, _ flag: String) throws {
        guard !text.isEmpty else { throw ValidationError("\(flag) needs -, a path or queue:NAME") }
        do throws(QueueError) { _ = try QueueName(endpoint: text) } catch {
            throw ValidationError("\(flag): \(error.message)")
        }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// How log lines look on standard error.
package enum LogFormat: String, Sendable, CaseIterable, ExpressibleByArgument {
    /// For people: what a terminal gets.
    case human
    /// One JSON object a line: what everything else gets.
    case json
}

/// A duration argument: `90s`, `15m`, `1h30m`, `30d`, `500ms`.
package struct Span: ExpressibleByArgument, Sendable, CustomStringConvertible {
    package let duration: Duration

    package init(_ duration: Duration) { self.duration = duration }

    package init?(argument: String) {
        guard let duration = Duration(spanText: argument) else { return nil }
        self.duration = duration
    }

    package var description: String { duration.spanText }
    package var defaultValueDescription: String { description }
}

/// A size argument: `512`, `64K`, `50M`, `2G` (powers of 1024).
package struct ByteSize: ExpressibleByArgument, Sendable, CustomStringConvertible {
    package let bytes: Int64

    package init(_ bytes: Int64) { self.bytes = bytes }

    package init?(argument: String) {
        let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        var digits = argument.uppercased()[...]
        if digits.last == "B" { digits.removeLast() }
        if digits.hasSuffix("I") { digits.removeLast() }
        var unit: Int64 = 1
        if let last = digits.last, let known = units[last] {
            unit = known
            digits.removeLast()
        }
        guard let count = Int64(digits), count >= 0 else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        self.bytes = bytes
    }

    package var description: String {
        for (shift, unit) in [(30, "G"), (20, "M"), (10, "K")] where bytes > 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
    package var defaultValueDescription: String { description }
}

extension TopicPattern: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
