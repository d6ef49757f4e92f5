import JSON
import Queue
import Stage
import System

/// Writes metrics in Prometheus' text format.
struct PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    init(_ state: PipelineState) {
        stages(state.stages)
        queues(state.queues)
    }

    private struct Sample {
        let labels: [(String, String)]
        let value: Double
    }

    private mutating func add(_ name: String, _ type: String, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for sample in samples where sample.value.isFinite {
            let labels = sample.labels.map { "\($0.0)=\"\(PrometheusText.escaped($0.1))\"" }.joined(separator: ",")
            text += "\(name){\(labels)} \(PrometheusText.number(sample.value))\n"
        }
    }

    private static func escaped(_ text: String) -> String {
        text.printable.reduce(into: "") { text, character in
            if character == "\\" || character == "\"" { text += "\\" }
            text.append(character)
        }
    }

    private static func number(_ value: Double) -> String {
        Int64(exactly: value).map(String.init) ?? "\(value)"
    }

    // MARK: Stages

    private mutating func stages(_ stages: [StageState]) {
        func labels(_ stage: StageState) -> [(String, String)] {
            [("tool", stage.tool), ("host", stage.host), ("pid", stage.processID)]
        }
        func samples(_ value: (Heartbeat) -> Double?) -> [Sample] {
            stages.compactMap { stage in
                guard let beat = stage.heartbeat, let number = value(beat) else { return nil }
                return Sample(labels: labels(stage), value: number)
            }
        }
        add(
            "tgpipe_stage_up", "gauge", "Whether the stage lives; 0 for an hour after it was killed.",
            stages.map { Sample(labels: labels($0), value: $0.isGone ? 0 : 1) })
        add(
            "tgpipe_stage_heartbeat_age_seconds", "gauge", "The time since the last heartbeat of the stage.",
            stages.map { Sample(labels: labels($0), value: Double($0.age.milliseconds) / 1000) })
        add(
            "tgpipe_stage_info", "gauge", "The version of the stage.",
            stages.compactMap { stage in
                stage.heartbeat.map { Sample(labels: labels(stage) + [("version", $0.version)], value: 1) }
            })
        add(
            "tgpipe_stage_events_in_total", "counter", "Events that the stage has read.",
            samples { Double($0.counts.taken) })
        add(
            "tgpipe_stage_events_out_total", "counter", "Events that the outputs of the stage have accepted.",
            samples { Double($0.counts.written) })
        add(
            "tgpipe_stage_events_failed_total", "counter", "Lines that the stage has refused, and events that failed.",
            samples { Double($0.counts.failed) })
        add(
            "tgpipe_stage_events_dropped_total", "counter", "Events that the stage has left out.",
            samples { Double($0.counts.dropped) })
        add(
            "tgpipe_stage_events_in_flight", "gauge", "Events in work.", samples { Double($0.inFlight) })
        add(
            "tgpipe_stage_latency_p50_seconds", "gauge",
            "The time that half of the events of the last minute took at most.",
            samples { $0.p50Milliseconds.map { $0 / 1000 } })
        add(
            "tgpipe_stage_latency_p99_seconds", "gauge",
            "The time that 99 percent of the events of the last minute took at most.",
            samples { $0.p99Milliseconds.map { $0 / 1000 } })
        add(
            "tgpipe_stage_resident_memory_bytes", "gauge", "The memory of the process.",
            samples { Double($0.memoryBytes) })
        add(
            "tgpipe_stage_start_time_seconds", "gauge", "The start of the process, in seconds since 1970.",
            samples { Timestamp($0.started).map { Double($0.microseconds) / 1e6 } })
        add(
            "tgpipe_stage_waiting", "gauge", "Whether a service is away and the stage waits for it.",
            stages.compactMap { stage in
                stage.heartbeat?.awaitedService.map { Sample(labels: labels(stage) + [("service", $0)], value: 1) }
            })
        add(
            "tgpipe_stage_imposed_wait_seconds", "gauge",
            "The rest of the longest wait that Telegram imposes on the stage.",
            samples { $0.waits.map(\.seconds).max() ?? 0 })
    }

    // MARK: Queues

    private mutating func queues(_ queues: [QueueState]) {
        func samples(_ value: (QueueState) -> Double?) -> [Sample] {
            queues.compactMap { queue in value(queue).map { Sample(labels: [("queue", queue.name)], value: $0) } }
        }
        add(
            "tgpipe_queue_events", "gauge", "Events that some group of the queue has not acknowledged.",
            samples { Double($0.stats.events) })
        add(
            "tgpipe_queue_dead_letters", "gauge", "Dead letters of the queue.", samples { Double($0.stats.dead) })
        add(
            "tgpipe_queue_oldest_seconds", "gauge", "The age of the oldest event of the queue.",
            samples { $0.oldestSeconds.map(Double.init) })
        var groups: [Sample] = []
        var workers: [Sample] = []
        var waiting: [Sample] = []
        for queue in queues {
            for group in queue.stats.groups {
                let labels = [("queue", queue.name), ("group", group.name)]
                for (state, count) in [
                    ("new", group.new), ("working", group.working), ("retrying", group.retrying), ("held", group.held),
                ] {
                    groups.append(Sample(labels: labels + [("state", state)], value: Double(count)))
                }
                workers.append(Sample(labels: labels, value: Double(group.workers)))
                if let service = group.awaitedService {
                    waiting.append(Sample(labels: labels + [("service", service)], value: 1))
                }
            }
        }
        add("tgpipe_queue_group_events", "gauge", "Events that a group has to do, by their state.", groups)
        add("tgpipe_queue_group_workers", "gauge", "Workers of a group that have an event.", workers)
        add("tgpipe_queue_group_waiting", "gauge", "Whether a service is away and the group waits for it.", waiting)
    }
}
