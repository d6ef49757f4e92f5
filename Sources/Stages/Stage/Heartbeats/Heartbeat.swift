package import JSON

/// Describes a live stage, as its heartbeat tells it.
package struct Heartbeat: Sendable, Equatable {
    package struct Wait: Sendable, Equatable {
        package let name: String
        package let seconds: Double
    }

    /// Numbers of events a second.
    package struct Rates: Sendable, Equatable {
        package var taken = 0.0
        package var written = 0.0
        package var failed = 0.0

        package init(taken: Double = 0, written: Double = 0, failed: Double = 0) {
            (self.taken, self.written, self.failed) = (taken, written, failed)
        }
    }

    package var tool: String
    package var host: String
    package var processID: Int
    package var version: String
    /// RFC 3339.
    package var started: String
    package var counts = StageActivity.Counts()
    package var rates = Rates()
    /// The number of events in work.
    package var inFlight = 0
    /// The time that half of the events of the last minute took at most, in ms; nil if there were none, or it is not measured.
    package var p50Milliseconds: Double?
    package var p99Milliseconds: Double?
    package var memoryBytes: Int64 = 0
    /// The service that is away and that the stage waits for.
    package var awaitedService: String?
    package var waits: [Wait] = []
    /// The last error in the log and its time.
    package var lastError: (time: String, message: String)?
    package var from: [StageEndpoint] = []
    package var to: [StageEndpoint] = []

    init(tool: String, host: String, processID: Int, version: String, started: String) {
        (self.tool, self.host, self.processID) = (tool, host, processID)
        (self.version, self.started) = (version, started)
    }

    /// Reads a heartbeat; returns nil for a value of another form.
    package init?(_ json: JSON) {
        guard let tool = json["tool"]?.string, let host = json["host"]?.string, let pid = json["pid"]?.int else {
            return nil
        }
        self.init(
            tool: tool, host: host, processID: Int(pid), version: json["version"]?.string ?? "",
            started: json["started"]?.string ?? "")
        func count(_ key: String) -> Int { json[key]?.int.flatMap { Int(exactly: max(0, $0)) } ?? 0 }
        func number(_ key: String) -> Double? { json[key]?.double.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil } }
        (counts.taken, counts.written) = (count("in"), count("out"))
        (counts.failed, counts.dropped) = (count("failed"), count("dropped"))
        rates = Rates(
            taken: number("in_rate") ?? 0, written: number("out_rate") ?? 0, failed: number("failed_rate") ?? 0)
        inFlight = count("in_flight")
        (p50Milliseconds, p99Milliseconds) = (number("p50_ms"), number("p99_ms"))
        memoryBytes = max(0, json["memory_bytes"]?.int ?? 0)
        awaitedService = json["waiting_for"]?.string
        waits = (json["waits"]?.array ?? []).compactMap { wait in
            guard let name = wait["name"]?.string, let seconds = wait["seconds"]?.double else { return nil }
            return Wait(name: name, seconds: seconds)
        }
        if let error = json["last_error"], let message = error["message"]?.string {
            lastError = (error["time"]?.string ?? "", message)
        }
        from = (json["from"]?.array ?? []).compactMap { StageEndpoint($0) }
        to = (json["to"]?.array ?? []).compactMap { StageEndpoint($0) }
    }

    package var json: JSONObject {
        [
            "tool": .string(tool), "host": .string(host), "pid": .integer(Int64(processID)),
            "version": .string(version),
            "started": .string(started), "in": .integer(Int64(counts.taken)), "out": .integer(Int64(counts.written)),
            "failed": .integer(Int64(counts.failed)), "dropped": .integer(Int64(counts.dropped)),
            "in_rate": .rounded(rates.taken), "out_rate": .rounded(rates.written),
            "failed_rate": .rounded(rates.failed),
            "in_flight": .integer(Int64(inFlight)), "p50_ms": p50Milliseconds.map { .rounded($0) },
            "p99_ms": p99Milliseconds.map { .rounded($0) }, "memory_bytes": .integer(memoryBytes),
            "waiting_for": awaitedService.map { .string($0) },
            "waits": waits.isEmpty
                ? nil : .array(waits.map { ["name": .string($0.name), "seconds": .rounded($0.seconds)] }),
            "last_error": lastError.map { ["time": .string($0.time), "message": .string($0.message)] },
            "from": .array(from.map(\.json)), "to": .array(to.map(\.json)),
        ]
    }

    package static func == (left: Heartbeat, right: Heartbeat) -> Bool { left.json == right.json }
}

extension JSON {
    /// A number with three decimals.
    fileprivate static func rounded(_ number: Double) -> JSON { .number((number * 1000).rounded() / 1000) }
}
