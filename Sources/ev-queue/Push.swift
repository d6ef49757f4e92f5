import ArgumentParser
import Envelope
import JSON
import Logging
import Options
import Queue
import Stage
import System
import Tracing

struct Push: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "push",
        abstract: "Put envelopes into a queue, each job once.",
        discussion: """
            Reads envelopes and puts them into the queue unchanged. A job is identified by its id: one that was already pushed within \
            --window is skipped, which is logged and does not affect the exit status. Ends when all envelopes are in the queue.

            Example: ev-queue push jobs < jobs.ndjson
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: LineInputOptions

    @Flag(help: "Give each line that lacks a correlation_id a new one, in place of refusing the line.")
    var stamp = false

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Option(help: ArgumentHelp("The time for which a job's id is remembered.", valueName: "duration"))
    var window: Span = Span(.seconds(86_400))

    @Flag(help: "Push all jobs, also those that were pushed before, and remember none of them.")
    var again = false

    @Option(
        help: ArgumentHelp(
            "The number of events that the queue may hold; push waits while it is full.", valueName: "count"))
    var maxLength: Int = QueueOutputs.defaultMaxLength

    func validate() throws {
        try input.refuseQueue("ev-queue pull to read one")
        guard maxLength > 0 else { throw ValidationError("--max-length must be 1 or more") }
        guard window.duration > .zero else { throw ValidationError("--window must be more than 0s") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        // The sink registers the queue, and reports faults at once.
        let sink = try await QueueSink([queue.name], maxLength: maxLength, runtime: runtime)
        let submitting = Submitting(
            runtime: runtime, admin: QueueAdmin(queue.name, redis: try await runtime.redis()), sink: sink,
            window: window.duration, maxLength: maxLength)
        var counts = (pushed: 0, known: 0)
        var options = try input.options
        options.stamp = stamp
        let stream = try await EventStream(runtime: runtime, options: options, accepts: { _ in true })
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
            "pushed \(counts.pushed == 1 ? "one event" : "\(counts.pushed) events"), skipped \(counts.known) that were pushed before",
            metadata: ["queue": "\(queue.name.text)"])
        // After an interruption, all lines read so far have been pushed, and their number is logged.
        return .success
    }
}

/// Puts batches of jobs into a queue.
private struct Submitting {
    let runtime: Runtime
    let admin: QueueAdmin
    let sink: QueueSink
    let window: Duration
    let maxLength: Int

    /// Publishes a batch of jobs.
    ///
    /// - Parameter before: the number of jobs left out so far, which limits the log lines.
    /// - Returns: the number of jobs of this batch that were left out.
    func submit(_ batch: [IncomingLine], known before: Int) async throws -> Int {
        var known = 0
        let size = min(500, maxLength)
        for start in stride(from: 0, to: batch.count, by: size) {
            let events = batch[start..<min(start + size, batch.count)].compactMap {
                item -> (Envelope, QueueAdmin.Job)? in
                guard case .event(let event, let line) = item else { return nil }
                return (event, QueueAdmin.Job(id: event.id.description, line: line.bytes))
            }
            let submission = QueueAdmin.Submission(window: window)
            var repeated: [Int] = []
            try await sink.noting {
                repeated = try await runtime.untilQueueHasRoom(in: "\(admin.queue)") {
                    try await admin.submit(events.map(\.1), maxLength: maxLength, as: submission)
                }
                let leftOut = Set(repeated)
                return events.indices.filter { !leftOut.contains($0) }.map { events[$0].1.line }
            }
            // Only the first ten are logged, so that a million of them do not make a million log lines.
            for index in repeated.prefix(max(0, 10 - before - known)) where events.indices.contains(index) {
                logLeftOut(events[index].0)
            }
            known += repeated.count
        }
        return known
    }

    private func logLeftOut(_ event: Envelope) {
        Tracer.correlating(with: event) {
            runtime.log.notice("skipped a job that was pushed before", metadata: ["id": "\(event.id)"])
        }
    }
}
