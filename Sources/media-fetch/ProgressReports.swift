import Envelope
import Media
import Stage
import Synchronization

/// Tells how far a fetch is: a bar on a terminal, and an envelope now and then for the chat.
struct ProgressReports: Sendable {
    /// How far envelopes of one job are apart.
    static let interval = Duration.seconds(3)

    private let publisher: Publisher
    private let kind: MediaKind

    init(_ publisher: Publisher, kind: MediaKind) {
        self.publisher = publisher
        self.kind = kind
    }

    /// Reports that the work was accepted, then runs it and reports what it says of its progress.
    func during<Value: Sendable>(
        _ work: @escaping @Sendable (@escaping ProgressHandler) async throws -> Value
    ) async throws -> Value {
        try await publisher.publish(ProgressReports.envelope(kind, ["state": "accepted"]))
        let latest = Latest()
        let bar = ProgressBar()
        defer { bar.clear() }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await work { progress in
                    latest.set(progress)
                    bar.show(progress)
                }
            }
            group.addTask {
                try await report(latest)
                return nil
            }
            defer { group.cancelAll() }
            while let finished = try await group.next() {
                if let finished { return finished }
            }
            throw CancellationError()
        }
    }

    /// Until it is cancelled. What there was nothing of when its time came is told as soon as there is.
    private func report(_ latest: Latest) async throws {
        while (try? await Task.sleep(for: ProgressReports.interval)) != nil, let progress = await latest.next() {
            try await publisher.publish(ProgressReports.envelope(kind, progress.payload))
        }
    }

    /// Reports a state in which the work can stay for long.
    func tell(_ state: MediaProgress.State) async throws {
        try await publisher.publish(ProgressReports.envelope(kind, state))
    }

    static func envelope(_ kind: MediaKind, _ state: MediaProgress.State) -> Envelope {
        envelope(kind, ["state": .string(state.rawValue)])
    }

    private static func envelope(_ kind: MediaKind, _ details: JSONObject) -> Envelope {
        .derived(
            type: "events.media.progress",
            payload: JSONObject([.init(key: "kind", value: .string(kind.rawValue))] + details.members))
    }
}

/// The newest progress that was not reported yet.
private final class Latest: Sendable {
    private let value = Mutex<MediaProgress?>(nil)
    private let changed = Signal()

    func set(_ progress: MediaProgress) {
        value.withLock { $0 = progress }
        changed.notify()
    }

    /// Waits for one; nil when the task is cancelled.
    func next() async -> MediaProgress? {
        while !Task.isCancelled {
            let generation = changed.generation
            if let progress = take() { return progress }
            await changed.wait(since: generation, atMost: .seconds(60))
        }
        return nil
    }

    private func take() -> MediaProgress? {
        value.withLock { value in
            defer { value = nil }
            return value
        }
    }
}

extension MediaProgress {
    fileprivate var payload: JSONObject {
        [
            "state": .string(state.rawValue), "fraction": fraction.map { .number(min(1, max(0, $0))) },
            "done_bytes": doneBytes.map { .integer($0) }, "total_bytes": totalBytes.map { .integer($0) },
            "rate_bytes_per_second": bytesPerSecond.map { .number($0.rounded()) }, "title": title.map { .string($0) },
        ]
    }
}
