package import Queue
import Tracing

/// Publishes lines to queues that are a stage's output, and waits while they are full or Redis is away.
package final class QueueSink: Sendable {
    package let outputs: QueueOutputs
    private let runtime: Runtime
    private let publisher: QueuePublisher
    private let spans: QueueSpans?

    /// - Throws: `RedisError` and `QueueError`, when Redis or a queue cannot be used.
    package init(_ queues: [QueueName], maxLength: Int, runtime: Runtime) async throws {
        outputs = QueueOutputs(queues, maxLength: maxLength)
        self.runtime = runtime
        for queue in queues { runtime.activity.writes(queue.description) }
        spans = QueueSpans(runtime.tracer.spans)
        let publisher = QueuePublisher(outputs, redis: try await runtime.redis(), name: ProcessName.unique())
        self.publisher = publisher
        try await runtime.retryingAtStart { try await publisher.open() }
        await runtime.checkRedisSettings()
    }

    /// The most lines that are published in one step.
    package var mostTogether: Int { outputs.mostTogether }

    /// Publishes lines, each queue's in the given order. The keys are set together with the last of the lines.
    package func publish(_ lines: [QueueLine], setting: [(key: String, value: String)] = []) async throws {
        let start = spans.map { _ in QueueSpans.Timing() }
        try await publisher.publish(lines, setting: setting) { attempt in
            try await runtime.untilQueueHasRoom(in: outputs.description) { try await attempt() ? () : nil }
        }
        runtime.activity.countWritten(lines.count)
        if let spans, let start { spans.sent(lines, to: outputs.queues, since: start) }
    }

    /// Runs a call that puts lines into the sink's first queue by other means, and notes the lines that it returns.
    package func noting(_ body: () async throws -> [[UInt8]]) async throws {
        let start = spans.map { _ in QueueSpans.Timing() }
        let lines = try await body()
        runtime.activity.countWritten(lines.count)
        if let spans, let start { spans.sent(lines.map { QueueLine($0[...]) }, to: outputs.queues, since: start) }
    }
}
