import Envelope
import Glibc
import Logging
import Payloads
import Stage
import Synchronization
import System
import Turns

/// Tells media-turns how many places this worker has, and which requests are done.
final class TurnReports: Sendable {
    private static let interval = Duration.seconds(10)
    /// The longest wait for a Redis that does not take an end: in a cluster, it may take the event itself.
    private static let patience = Duration.seconds(10)
    /// The pause after which ends are noted again that Redis did not take.
    private static let pause = Duration.seconds(1)
    /// More ends are not kept for another try; the oldest ones are left to the day after which a turn is free again.
    private static let mostKept = 10_000
    /// The number of ends that are noted in one call, which keeps other clients of Redis waiting.
    private static let mostAtOnce = 500

    private let runtime: Runtime
    /// Calls of the first one fail while Redis is away, and those of the second one wait.
    private let (book, patientBook): (TurnBook, TurnBook)
    private let usage: Usage
    private let places: Int
    private let worker = "\(Runtime.host):\(getpid()):\(String(UInt32.random(in: 0...(.max)), radix: 16))"
    /// The requests whose end is not noted yet. Each of them keeps a turn from its user.
    private let ended = Mutex<[EventID]>([])
    private let changed = Signal()

    /// - Parameter places: the number of fetches that run at once; 0 for a worker that takes no requests of media-turns.
    init(runtime: Runtime, places: Int) {
        (self.runtime, self.places) = (runtime, places)
        (book, patientBook) = (TurnBook(runtime, waits: false), TurnBook(runtime))
        usage = Usage(runtime)
    }

    /// Offers the places until its task is cancelled, and takes them back then.
    func run() async {
        while !Task.isCancelled {
            let generation = changed.generation
            await note { try await $0.offer(places: self.places, of: self.worker) }
            await noteEnds()
            let isComplete = ended.withLock { $0.isEmpty }
            await changed.wait(since: generation, atMost: isComplete ? TurnReports.interval : TurnReports.pause)
        }
        await Task {
            await noteEnds()
            try? await book.offer(places: 0, of: worker)
        }.value
    }

    /// Notes the end of the work on an event, whose turn others get.
    ///
    /// An event of a queue is finished in Redis after this call. A process that was killed in between would leave a turn taken for a day if
    /// the end was not noted before; so this waits for a Redis that is away, as the event has to.
    func done(_ event: Envelope, _ outcome: Outcome, isFromQueue: Bool) async {
        // A request that is handed over keeps its turn.
        guard case .done(let results) = outcome, !results.contains(where: { $0.type == LargeDownload.type }) else {
            return
        }
        let ids = TurnReports.requests(of: event)
        let isNoted = await note { book in
            guard isFromQueue else { return try await book.end(ids, isDone: true) }
            try await self.endPatiently(ids)
        }
        if isNoted { return }
        ended.withLock { $0 += ids }
        changed.notify()
    }

    private func endPatiently(_ ids: [EventID]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.patientBook.end(ids, isDone: true) }
            group.addTask {
                try await Task.sleep(for: TurnReports.patience)
                throw CancellationError()
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Notes that an event gets no more attempts.
    func giveUp(_ event: Envelope) {
        ended.withLock { $0 += TurnReports.requests(of: event) }
        changed.notify()
    }

    /// Counts what a user has got.
    func count(bytes: Int64?, time: Duration, for user: Int64?) async {
        guard let user else { return }
        await usage.add(bytes: bytes ?? 0, time: time, to: user)
    }

    private func noteEnds() async {
        while true {
            let ids = ended.withLock { ids in
                let first = Array(ids.prefix(TurnReports.mostAtOnce))
                ids.removeFirst(first.count)
                return first
            }
            guard !ids.isEmpty else { return }
            if await note({ try await $0.end(ids, isDone: true) }) { continue }
            // Redis is away, or gives its place to another server.
            return ended.withLock { $0 = Array((ids + $0).suffix(TurnReports.mostKept)) }
        }
    }

    /// Calls the book, and returns whether it answered. Media are fetched without it, too.
    @discardableResult
    private func note(_ call: @escaping @Sendable (TurnBook) async throws -> Void) async -> Bool {
        do {
            try await call(book)
            return true
        } catch {
            runtime.log.debug("unable to note turns: \(error)")
            return false
        }
    }

    /// Returns the requests that an event stands for: a download that was handed over has an event of its own.
    private static func requests(of event: Envelope) -> [EventID] {
        [event.id] + (event.type == LargeDownload.type ? [event.causationID].compactMap { $0 } : [])
    }
}
