import Envelope
import JSON
import Media
import Payloads
import Stage
import Synchronization
import System

/// Reports the progress of a fetch: as a bar on a terminal, and as events for the chat.
struct ProgressReports: Sendable {
    /// The time between two events for one request.
    static let interval = Duration.seconds(3)

    /// The delay before a request that is still undecided is reported as accepted. The store's answer arrives sooner, and no
    /// person notices the delay.
    static let patience = Duration.milliseconds(200)

    private let publisher: Publisher
    private let kind: MediaKind

    init(_ publisher: Publisher, kind: MediaKind) {
        self.publisher = publisher
        self.kind = kind
    }

    /// Runs the work and reports its progress.
    ///
    /// - Parameter work: calls `accept` to report that the request was accepted, as soon as it is certain to take a while. If it
    ///   has not called it after `patience`, this happens on its behalf. Work that ends earlier is not reported.
    func during<Value: Sendable>(
        _ work:
            @escaping @Sendable (
                _ accept: @escaping @Sendable () async throws -> Void, _ onProgress: @escaping ProgressHandler
            ) async throws -> Value
    ) async throws -> Value {
        let (latest, isAccepted) = (Latest(), Once())
        let accept: @Sendable () async throws -> Void = {
            if isAccepted.isFirst() { try await publish(MediaProgress(.accepted)) }
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

    /// Publishes the newest progress at each interval until its task is cancelled. Without new progress, it waits for some.
    private func report(_ latest: Latest) async throws {
        while (try? await Task.sleep(for: ProgressReports.interval)) != nil, let progress = await latest.next() {
            try await publish(progress.rounded)
        }
    }

    private func publish(_ progress: MediaProgress) async throws {
        var progress = progress
        progress.kind = kind
        try await publisher.publish(.derived(progress))
    }
}

/// Distinguishes the first of several callers from the others.
private final class Once: Sendable {
    private let hasHappened = Atomic(false)

    /// Returns true to the first caller, and false to all others.
    func isFirst() -> Bool { !hasHappened.exchange(true, ordering: .relaxed) }
}

/// Holds the newest progress that was not reported yet.
private final class Latest: Sendable {
    private let value = Mutex<MediaProgress?>(nil)
    private let changed = Signal()

    func set(_ progress: MediaProgress) {
        value.withLock { $0 = progress }
        changed.notify()
    }

    /// Waits for progress and takes it; returns nil when the task is cancelled.
    func next() async -> MediaProgress? {
        while !Task.isCancelled {
            let generation = changed.generation
            if let progress = take() { return progress }
            await changed.wait(since: generation)
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
            title: title, state: state?.rawValue ?? "", fraction: fraction, doneBytes: doneBytes,
            totalBytes: totalBytes,
            bytesPerSecond: bytesPerSecond?.double)
    }

    /// The progress as an event reports it: the fraction within 0…1, and the rate in whole bytes a second.
    fileprivate var rounded: MediaProgress {
        var progress = self
        progress.fraction = fraction.map { min(1, max(0, $0)) }
        progress.bytesPerSecond = bytesPerSecond.map { JSONNumber($0.double.rounded()) }
        return progress
    }
}
