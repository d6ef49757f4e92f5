import ArgumentParser
import Envelope
import JSON
import Logging
import Options
import Queue
import Stage
import System

struct Push: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "push",
        abstract: "Put envelopes into a queue, each job once.",
        discussion: """
            Reads envelopes and puts them into the queue as they came. A job is known by its id: one that was pushed before, within \
            --window, is left out, which the log tells; the exit status is 0 all the same. Ends when everything is in the queue.

            Example: ev-queue push jobs < jobs.ndjson
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var input: PushInput

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Option(help: ArgumentHelp("For how long a job's id is remembered.", valueName: "duration"))
    var window: Span = Span(.seconds(86_400))

    @Flag(help: "Push jobs that were pushed before, too, and remember none.")
    var again = false

    @Option(help: ArgumentHelp("How many events the queue may hold; when it is full, push waits.", valueName: "count"))
    var maxLength: Int = QueueOutputs.defaultMaxLength

    func validate() throws {
        guard maxLength > 0 else { throw ValidationError("--max-length must be 1 or more") }
        guard window.duration > .zero else { throw ValidationError("--window must be more than 0s") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let submitting = Submitting(
            runtime: runtime, admin: QueueAdmin(queue.name, redis: try await runtime.redis()), window: window.duration,
            maxLength: maxLength)
        // It makes the queue known, and tells at once what is wrong.
        let sink = try await QueueSink([queue.name], maxLength: maxLength, runtime: runtime)
        var counts = (pushed: 0, known: 0)
        let stream = try await EventStream(runtime: runtime, options: input.options, accepts: { _ in true })
        while let batch = try await stream.next() {
            if !again {
                let known = try await submitting.submit(batch, known: counts.known)
                counts = (counts.pushed + batch.count - known, counts.known + known)
            } else {
                try await sink.publish(batch.map { QueueLine($0.line.bytes[...]) })
                counts.pushed += batch.count
            }
        }
        runtime.log.info(
            "pushed \(counts.pushed) events, left out \(counts.known) that were pushed before",
            metadata: ["queue": "\(queue.name.text)"])
        // Interrupted, it has pushed what it had read, and says so.
        return .success
    }
}

/// Where envelopes to push come from: no queue.
struct PushInput: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("Where envelopes come from: - or the path of a file or FIFO.", valueName: "path"))
    var from: String = "-"

    @Option(help: ArgumentHelp("Where malformed lines go, with the reason. Default: into the log.", valueName: "path"))
    var deadLetter: String?

    func validate() throws {
        guard !from.hasPrefix(QueueName.prefix) else { throw ValidationError("--from: push reads no queue") }
    }

    var options: InputOptions {
        get throws {
            var options = try InputOptions.parse([])
            options.from = from
            options.deadLetter = deadLetter
            return options
        }
    }
}

/// Puts batches of jobs into a queue.
private struct Submitting {
    let runtime: Runtime
    let admin: QueueAdmin
    let window: Duration
    let maxLength: Int

    /// - Parameter before: how many were left out before.
    /// - Returns: how many of these were.
    func submit(_ batch: [Incoming], known before: Int) async throws -> Int {
        var known = 0
        let size = min(500, maxLength)
        for start in stride(from: 0, to: batch.count, by: size) {
            let events = batch[start..<min(start + size, batch.count)].compactMap {
                item -> (Envelope, QueueAdmin.Job)? in
                guard case .event(let event, let line) = item else { return nil }
                return (event, QueueAdmin.Job(id: event.id.description, line: line.bytes))
            }
            let submission = QueueAdmin.Submission(window: window)
            let repeated = try await runtime.untilThereIsRoom(in: "\(admin.queue)") {
                try await admin.submit(events.map(\.1), maxLength: maxLength, as: submission)
            }
            // A million of them make no million lines of log.
            for index in repeated.prefix(max(0, 10 - before - known)) where events.indices.contains(index) {
                tell(events[index].0)
            }
            known += repeated.count
        }
        return known
    }

    private func tell(_ event: Envelope) {
        Correlation.$current.withValue(Correlation(event)) {
            runtime.log.notice("left out a job that was pushed before", metadata: ["id": "\(event.id)"])
        }
    }
}
