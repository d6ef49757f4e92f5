import JSON
import Options
import Queue
import Redis
import Stage
import Synchronization
import System

/// Describes a stage that lives, or that was killed in the last hour.
struct StageState: Sendable {
    let tool: String
    let host: String
    let processID: String
    /// The last heartbeat of the stage; nil if it was killed, or if the heartbeat cannot be read.
    let heartbeat: Heartbeat?
    /// The time since the last heartbeat.
    let age: Duration
    let isGone: Bool

    init(_ entry: HeartbeatStore.Entry) {
        let told = entry.value.flatMap { try? JSON(parsing: $0) }.flatMap { Heartbeat($0) }
        // The name is that of the key: TOOL:HOST:PID:RANDOM.
        let words = entry.name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        tool = told?.tool ?? words.first ?? ""
        host = told?.host ?? (words.count > 1 ? words[1] : "")
        processID = told.map { "\($0.processID)" } ?? (words.count > 2 ? words[2] : "")
        heartbeat = told
        age = entry.age
        isGone = entry.value == nil
    }

    /// The state for people: what the stage waits for, or since when it is gone.
    var summary: String {
        if isGone { return "gone, last seen \(Duration.seconds(age.milliseconds / 1000).spanText) ago" }
        guard let heartbeat else { return "tells something that this version cannot read" }
        var parts: [String] = []
        if let service = heartbeat.awaitedService { parts.append("waits for \(service)") }
        parts += heartbeat.waits.map {
            "\($0.name) waits \(Duration.seconds(Int64(min(1e9, max(1, $0.seconds)))).spanText)"
        }
        return parts.isEmpty ? "ok" : parts.joined(separator: "; ")
    }
}

/// Describes a queue.
struct QueueState: Sendable {
    let name: String
    let stats: QueueAdmin.Stats
    /// The age of the oldest event.
    let oldestSeconds: Int64?
}

/// Describes all stages and queues that share a Redis.
struct PipelineState: Sendable {
    var stages: [StageState] = []
    var queues: [QueueState] = []
}

/// Reads the state of the pipeline again and again.
final class PipelineReader: Sendable {
    /// The time after which the queues of other programs are looked for again, which looks at every key.
    private static let namesAge = Duration.seconds(30)

    private let redis: Redis
    private let names = Mutex<(found: [QueueName], at: ContinuousClock.Instant)?>(nil)

    init(_ redis: Redis) { self.redis = redis }

    /// Connects to a Redis that is there; none is started, since it could have no stages.
    static func open(_ runtime: Runtime) async throws -> PipelineReader {
        guard runtime.hasRedis else {
            throw ToolError(
                .unavailable,
                "there is no Redis to look at: set TGPIPE_REDIS, or start a stage, which starts the private server")
        }
        try await runtime.requireRedis()
        return PipelineReader(try await runtime.redis())
    }

    func read() async throws -> PipelineState {
        let entries = try await HeartbeatStore(redis, timeout: .seconds(5)).entries()
        var state = PipelineState()
        state.stages = entries.map(StageState.init).sorted {
            ($0.host, $0.tool, $0.processID) < ($1.host, $1.tool, $1.processID)
        }
        let now = Timestamp.now.microseconds / 1000
        for name in try await queueNames() {
            let stats = try await QueueAdmin(name, redis: redis).stats()
            state.queues.append(
                QueueState(
                    name: name.text, stats: stats,
                    oldestSeconds: stats.oldestMilliseconds.map { max(0, now - min($0, now)) / 1000 }))
        }
        return state
    }

    private func queueNames() async throws -> [QueueName] {
        if let known = names.withLock({ $0 }), ContinuousClock.now - known.at < PipelineReader.namesAge {
            return known.found
        }
        let found = try await QueueAdmin.all(redis)
        names.withLock { $0 = (found, .now) }
        return found
    }
}

extension PipelineState {
    /// The state as one JSON object.
    var json: JSONObject {
        [
            "time": .string(Timestamp.now.description), "stages": .array(stages.map { .object($0.json) }),
            "queues": .array(queues.map { .object($0.json) }),
        ]
    }
}

extension StageState {
    fileprivate var json: JSONObject {
        let own: JSONObject = [
            "state": isGone ? "gone" : "live", "age_seconds": .number(Double(age.milliseconds) / 1000),
        ]
        guard let heartbeat else {
            let name: JSONObject = ["tool": .string(tool), "host": .string(host), "pid": .string(processID)]
            return JSONObject(own.members + name.members)
        }
        return JSONObject(own.members + heartbeat.json.members)
    }
}

extension QueueState {
    fileprivate var json: JSONObject {
        [
            "queue": .string(name), "events": .integer(Int64(stats.events)), "dead": .integer(Int64(stats.dead)),
            "oldest_seconds": oldestSeconds.map { .integer($0) },
            "groups": .array(
                stats.groups.map { group in
                    .object([
                        "group": .string(group.name), "new": .integer(Int64(group.new)),
                        "working": .integer(Int64(group.working)), "retrying": .integer(Int64(group.retrying)),
                        "held": .integer(Int64(group.held)), "workers": .integer(Int64(group.workers)),
                        "waiting_for": group.awaitedService.map { .string($0) },
                    ])
                }),
        ]
    }
}
