import Envelope
import JSON
import Media
import Stage
import Synchronization
import System

/// Tells how far a fetch is: a bar on a terminal, and an envelope now and then for the chat.
struct ProgressReports: Sendable {
    /// How far envelopes of one job are apart.
    static let interval = Duration.seconds(3)

    /// No person notices that an answer came so much later; what the store has is there in less.
    static let patience = Duration.milliseconds(200)

    private let publisher: Publisher
    private let kind: MediaKind

    init(_ publisher: Publisher, kind: MediaKind) {
        self.publisher = publisher
        self.kind = kind
    }

    /// Runs the work and reports what it says of its progress.
    ///
    /// - Parameter work: also gets a function that reports that the work was accepted, for the moment in which it is sure
    ///   to take a while. What is not sure within `patience` is reported then; what is over by then needs no such word.
    func during<Value: Sendable>(
        _ work:
            @escaping @Sendable (
                _ accept: @escaping @Sendable () async throws -> Void, _ onProgress: @escaping ProgressHandler
            ) async throws -> Value
    ) async throws -> Value {
        let (latest, isAccepted) = (Latest(), Once())
        let accept: @Sendable () async throws -> Void = {
            if isAccepted.isFirst() {
                try await publisher.publish(ProgressReports.envelope(kind, ["state": "accepted"]))
            }
        }
        let bar = ProgressBar()
        defer { bar.clear() }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await work(accept) { progress in
                    latest.set(progress)
                    bar.show(progress.figures)
                }
            }
            group.addTask {
                guard (try? await Task.sleep(for: ProgressReports.patience)) != nil else { return nil }
                try await accept()
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

    static func envelope(_ kind: MediaKind, _ state: MediaProgress.State) -> Envelope {
        envelope(kind, ["state": .string(state.rawValue)])
    }

    private static func envelope(_ kind: MediaKind, _ details: JSONObject) -> Envelope {
        .derived(
            type: "events.media.progress",
            payload: JSONObject([.init(key: "kind", value: .string(kind.rawValue))] + details.members))
    }
}

/// Something that happens once, whoever comes first.
private final class Once: Sendable {
    private let hasHappened = Atomic(false)

    func isFirst() -> Bool { !hasHappened.exchange(true, ordering: .relaxed) }
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
    fileprivate var figures: ProgressBar.Figures {
        ProgressBar.Figures(
            title: title, state: state.rawValue, fraction: fraction, doneBytes: doneBytes, totalBytes: totalBytes,
            bytesPerSecond: bytesPerSecond)
    }

    fileprivate var payload: JSONObject {
        [
            "state": .string(state.rawValue), "fraction": fraction.map { .number(min(1, max(0, $0))) },
            "done_bytes": doneBytes.map { .integer($0) }, "total_bytes": totalBytes.map { .integer($0) },
            "rate_bytes_per_second": bytesPerSecond.map { .number($0.rounded()) }, "title": title.map { .string($0) },
        ]
    }
}
