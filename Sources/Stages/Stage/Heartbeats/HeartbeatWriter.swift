import Glibc
import JSON
import Logging
import Redis
import Synchronization
import System
import Tracing

/// Shows in Redis, every few seconds, that a stage lives and what it does.
///
/// It starts no server, and a Redis that is away is nothing special. A process that ends within the first second, or is no stage,
/// writes nothing.
final class HeartbeatWriter: Sendable {
    /// How often heartbeats are written: `TGPIPE_HEARTBEAT`.
    struct Plan: Sendable {
        let interval: Duration
        /// A process counts as dead after three missing heartbeats.
        var lifetime: Duration { interval * 3 }

        static let usual = Plan(interval: .seconds(5))

        /// Reads the setting: `off`, or the time between two heartbeats.
        ///
        /// - Returns: nil for no heartbeats.
        /// - Throws: `ToolError` (78).
        static func fromEnvironment() throws -> Plan? {
            let name = "TGPIPE_HEARTBEAT"
            guard Settings.environment(name) != "off" else { return nil }
            let interval = try Settings.value(name, expected: "off, or a duration from 100ms to 1h") { text in
                Duration(spanText: text).flatMap { (.milliseconds(100)...(.seconds(3600))).contains($0) ? $0 : nil }
            }
            return interval.map { Plan(interval: $0) } ?? usual
        }
    }

    /// Holds earlier counts: a heartbeat tells the rates and quantiles since then.
    private struct Snapshot {
        let time: ContinuousClock.Instant
        let counts: StageActivity.Counts
        let latency: LatencyHistogram
    }

    private struct State {
        var snapshots: [Snapshot] = []
        var own: Redis?
        var hasWritten = false
        var isBroken = false
    }

    private static let rateWindow = Duration.seconds(10)
    private static let latencyWindow = Duration.seconds(60)
    private static let timeout = Duration.seconds(2)

    private let runtime: Runtime
    private let plan: Plan
    private let name: String
    private let started = Timestamp.now
    private let state: Mutex<State>

    init(_ runtime: Runtime, _ plan: Plan) {
        (self.runtime, self.plan) = (runtime, plan)
        name = "\(runtime.tool):\(ProcessName.own)"
        state = Mutex(State(snapshots: [Snapshot(time: .now, counts: .init(), latency: .init())]))
    }

    /// Writes heartbeats until the task is cancelled.
    func run() async {
        guard (try? await Task.sleep(for: min(plan.interval, .seconds(1)))) != nil else { return }
        while !Task.isCancelled {
            if runtime.activity.isStage { await beat() }
            guard (try? await Task.sleep(for: plan.interval)) != nil else { return }
        }
    }

    private func beat() async {
        // The counters advance also while Redis is away, so that the rates are right when it is back.
        let value = JSON.object(heartbeat().json).bytes
        guard let redis = redis() else { return }
        do {
            try await HeartbeatStore(redis, timeout: min(HeartbeatWriter.timeout, plan.interval * 2))
                .beat(name, value, lifetime: plan.lifetime)
            state.withLock { ($0.hasWritten, $0.isBroken) = (true, false) }
        } catch {
            let isNews = state.withLock { state in
                defer { state.isBroken = true }
                return !state.isBroken
            }
            if isNews, !Task.isCancelled { runtime.log.debug("unable to write a heartbeat: \(error.message)") }
        }
    }

    /// Removes the heartbeat at the end of the stage.
    func end() async {
        guard state.withLock({ $0.hasWritten && !$0.isBroken }), let redis = redis() else { return }
        // If this fails, the key expires, and the stage counts as killed.
        try? await HeartbeatStore(redis, timeout: .milliseconds(500)).end(name)
    }

    /// Returns the stage's own connection, or one that only heartbeats use; nil without a running server.
    private func redis() -> Redis? {
        if let shared = runtime.sharedRedis { return shared }
        if let own = state.withLock({ $0.own }) { return own }
        guard let address = runtime.addressWithoutStart, HeartbeatStore.isSupported else { return nil }
        let timeout = HeartbeatWriter.timeout
        let made = Redis(address, clientName: runtime.tool, connectTimeout: timeout, commandTimeout: timeout)
        state.withLock { $0.own = made }
        return made
    }

    private func heartbeat() -> Heartbeat {
        let statistics = runtime.tracer.statistics
        let now = Snapshot(
            time: .now, counts: runtime.activity.counts(statistics), latency: statistics.latency)
        let (recent, older) = state.withLock { state in
            defer {
                state.snapshots.append(now)
                state.snapshots.removeAll { now.time - $0.time > HeartbeatWriter.latencyWindow + plan.interval }
            }
            let recent = state.snapshots.first { now.time - $0.time <= HeartbeatWriter.rateWindow + .seconds(1) }
            return (recent ?? state.snapshots.last, state.snapshots.first)
        }
        var heartbeat = Heartbeat(
            tool: runtime.tool, host: Runtime.host, processID: Int(getpid()), version: tgpipeVersion,
            started: started.description)
        heartbeat.counts = now.counts
        if let recent, now.time > recent.time {
            let seconds = (now.time - recent.time).seconds
            heartbeat.rates = Heartbeat.Rates(
                taken: Double(max(0, now.counts.taken - recent.counts.taken)) / seconds,
                written: Double(max(0, now.counts.written - recent.counts.written)) / seconds,
                failed: Double(max(0, now.counts.failed - recent.counts.failed)) / seconds)
        }
        heartbeat.inFlight = statistics.inFlight
        let latency = older.map { now.latency.since($0.latency) } ?? now.latency
        heartbeat.p50Milliseconds = latency.quantile(0.5)?.seconds.inMilliseconds
        heartbeat.p99Milliseconds = latency.quantile(0.99)?.seconds.inMilliseconds
        heartbeat.memoryBytes = HeartbeatWriter.residentBytes
        heartbeat.awaitedService = runtime.outages.away?.rawValue
        heartbeat.waits = runtime.activity.waits.map { Heartbeat.Wait(name: $0.name, seconds: $0.rest.seconds) }
        heartbeat.lastError = runtime.lastError.latest.map { ($0.time.description, $0.message) }
        (heartbeat.from, heartbeat.to) = runtime.activity.endpoints
        return heartbeat
    }

    /// The memory of this process that is not swapped out.
    private static var residentBytes: Int64 {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        let text = readAll(descriptor, atMost: 4096).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0
        return pages.multipliedReportingOverflow(by: Int64(sysconf(Int32(_SC_PAGESIZE)))).partialValue
    }
}

extension Double {
    /// Seconds in milliseconds.
    fileprivate var inMilliseconds: Double { self * 1000 }
}
