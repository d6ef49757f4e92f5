package import ArgumentParser
import Queue
import System

/// Holds the arguments of every tool that reads envelopes.
package struct InputOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Read envelopes from this endpoint: - (standard input), the path of a file or FIFO, or queue:NAME.",
            valueName: "endpoint"))
    package var from: String = "-"

    @Option(
        help: ArgumentHelp(
            "Write malformed lines to this file, each with the reason. Default: log them.", valueName: "path"))
    package var deadLetter: String?

    @Option(help: ArgumentHelp("The longest line accepted, from 1K to 1G.", valueName: "size"))
    package var maxLine: ByteSize = ByteSize(8 << 20)

    @Flag(help: "Give each line that lacks a correlation_id a new one, in place of refusing the line.")
    package var stamp = false

    @OptionGroup(title: "Reading from a queue") package var queue: QueueOptions

    /// Is true if the input is a queue, so that a failed event can be retried by this worker or another.
    package var isFromQueue: Bool { from.hasPrefix("queue:") }

    package init() {}

    package func validate() throws {
        try checkEndpoint(from, "--from")
        if stamp, isFromQueue {
            throw ValidationError("--stamp is for pipes and files: each event of a queue has a correlation_id")
        }
        // A parser of JSON holds several times the size of its input.
        guard (1024...(1 << 30)).contains(maxLine.bytes) else {
            throw ValidationError("--max-line must be from 1K to 1G")
        }
    }
}

/// Holds the arguments of every tool that writes envelopes.
package struct OutputOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Write envelopes to this endpoint: - (standard output), the path of a file or FIFO, or queue:NAME.",
            valueName: "endpoint"))
    package var to: String = "-"

    @Option(
        help: ArgumentHelp(
            "The largest number of events in an output queue. When the queue is full, the tool waits for room.",
            valueName: "count"))
    package var maxLength: Int = 1_000_000

    package init() {}

    /// Is true if an event that the output has accepted survives a power failure. Files that the event names must then survive one too.
    package var isDurable: Bool { to.hasPrefix("queue:") }

    package func validate() throws {
        try checkEndpoint(to, "--to")
        guard maxLength > 0 else { throw ValidationError("--max-length must be 1 or more") }
    }
}

/// Holds the arguments of every tool that can read from a queue.
package struct QueueOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The consumer group. Workers of one group share a queue's events; each group gets every event. Default: the "
                + "tool's name.", valueName: "name"))
    package var group: String?

    @Option(
        help: ArgumentHelp(
            "The time after which a silent worker counts as dead, so that others claim its events; from 500ms to 1d.",
            valueName: "duration"))
    package var lease: Span = Span(.seconds(30))

    @Option(
        help: ArgumentHelp(
            "The number of attempts after which an event goes to the queue's dead letters, from 1 to 1000.",
            valueName: "count"))
    package var maxAttempts: Int = 5

    @Option(
        help: ArgumentHelp(
            "The longest backoff after the first failed attempt. It doubles with each further one.",
            valueName: "duration"))
    package var backoff: Span = Span(.seconds(1))

    @Option(help: ArgumentHelp("The longest backoff after any number of failed attempts.", valueName: "duration"))
    package var maxBackoff: Span = Span(.seconds(300))

    package init() {}

    package func validate() throws {
        guard (.milliseconds(500)...(.seconds(86_400))).contains(lease.duration) else {
            throw ValidationError("--lease must be from 500ms to 1d")
        }
        guard (1...1000).contains(maxAttempts) else { throw ValidationError("--max-attempts must be from 1 to 1000") }
    }

    /// Returns the backoff after a failed attempt, with full jitter: a random time up to a limit that doubles with each attempt.
    ///
    /// - Parameter attempt: The failed attempt's number, from 1.
    package func pause(after attempt: Int) -> Duration {
        Backoff(first: backoff.duration, longest: maxBackoff.duration, jitter: .full).pause(after: attempt)
    }
}

/// Checks the text of an endpoint.
///
/// - Throws: `ValidationError`, which names the flag.
private func checkEndpoint(_ text: String, _ flag: String) throws {
    guard !text.isEmpty else { throw ValidationError("\(flag) needs -, a path or queue:NAME") }
    do throws(QueueError) { _ = try QueueName(endpoint: text) } catch {
        throw ValidationError("\(flag): \(error.message)")
    }
}
