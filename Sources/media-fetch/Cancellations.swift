import Envelope
import Logging
import Redis
import Stage
import Synchronization
import System

/// Ends the work on requests that were cancelled, in whichever process it is being done.
///
/// Each process looks into Redis, several times a second, for the requests that it has been working on for longer than
/// that; all others are over before anyone could cancel them. Without Redis, a cancellation reaches the requests of this
/// process only.
final class Cancellations: Sendable {
    /// Tells the work on a request whether it was cancelled, as opposed to the tool being ended.
    @TaskLocal static var current: Mark?

    /// Belongs to one request while this process works on it.
    final class Mark: Sendable {
        private let isSetValue = Atomic(false)

        var isSet: Bool { isSetValue.load(ordering: .acquiring) }

        fileprivate func set() { isSetValue.store(true, ordering: .releasing) }
    }

    private struct Watched: Sendable {
        let request: CancellationNotes.Request
        let mark: Mark
        let cancel: @Sendable () -> Void
    }

    private static let interval = Duration.milliseconds(250)

    private let runtime: Runtime
    private let notes: CancellationNotes
    private let watched = Mutex<(next: Int, requests: [Int: Watched])>((0, [:]))
    private let changed = Signal()

    init(runtime: Runtime) {
        self.runtime = runtime
        notes = CancellationNotes(runtime)
    }

    /// Works on a request until the work is done or the request is cancelled.
    ///
    /// - Returns: nil if the request was cancelled.
    func work(
        on event: Envelope, _ waiter: Waiter, _ work: @escaping @Sendable () async throws -> Outcome
    ) async throws -> Outcome? {
        let mark = Mark()
        let task = Task { try await Cancellations.$current.withValue(mark) { try await work() } }
        let request = Watched(request: CancellationNotes.Request(event), mark: mark, cancel: task.cancel)
        let number = watched.withLock { watched in
            watched.next += 1
            watched.requests[watched.next] = request
            return watched.next
        }
        changed.notify()
        defer { watched.withLock { _ = $0.requests.removeValue(forKey: number) } }
        do {
            let outcome = try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
            guard case .held(let limit) = outcome else { return outcome }
            return await notes.isCancelled(request.request, heldBy: waiter, limit) ? nil : outcome
        } catch {
            if mark.isSet { return nil }
            throw error
        }
    }

    /// Looks for cancellations until its task is cancelled.
    func watch() async {
        var seen: Set<Int> = []
        while !Task.isCancelled {
            let generation = changed.generation
            let requests = watched.withLock { $0.requests }
            // A request that came since the last look may be over soon.
            let old = requests.filter { seen.contains($0.key) && !$0.value.mark.isSet }.map(\.value)
            seen = Set(requests.keys)
            if requests.isEmpty {
                await changed.wait(since: generation)
                continue
            }
            for (request, isCancelled) in zip(old, await notes.cancelled(old.map(\.request))) where isCancelled {
                end(request)
            }
            try? await Task.sleep(for: Cancellations.interval)
        }
    }

    private func end(_ request: Watched) {
        request.mark.set()
        request.cancel()
    }

    /// Cancels the requests that a command names, if its sender may do so.
    func take(_ event: Envelope) async throws {
        let command = try CancellationNotes.Command(event)
        let isNoted = try await notes.note(command)
        for request in watched.withLock({ Array($0.requests.values) })
        where request.request.names.contains(command.name) && request.request.mayBeEnded(by: command.sender) {
            end(request)
        }
        if !isNoted {
            runtime.log.warning("without Redis, a cancellation reaches only the requests of this process")
        }
    }
}
