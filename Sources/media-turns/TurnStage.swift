import Envelope
import Glibc
import Logging
import Payloads
import Redis
import Stage
import Synchronization
import System
import Turns

/// Holds requests for media until it is their turn, and refuses those of users who have used up their share.
final class TurnStage: Sendable {
    private let runtime: Runtime
    private let book: TurnBook
    private let usage: Usage
    private let cancellations: CancellationNotes
    private let limits: Usage.Limits
    private let mostWaiting: Int
    private let interval: Duration
    private let line: SharedLine
    /// The places that were reported last, of requests that this process holds.
    private let reported = Mutex<[EventID: Int]>([:])

    init(
        runtime: Runtime, book: TurnBook, usage: Usage, cancellations: CancellationNotes, limits: Usage.Limits,
        mostWaiting: Int, interval: Duration
    ) {
        (self.runtime, self.book, self.usage, self.cancellations) = (runtime, book, usage, cancellations)
        (self.limits, self.mostWaiting, self.interval) = (limits, mostWaiting, interval)
        line = SharedLine(book)
    }

    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        // media-fetch tells the user.
        if event.isRateLimited { return .done([event]) }
        let download = try MediaDownload(event)
        if await cancellations.isCancelled(event) { return .done([try await cancelled(download, event)]) }
        let user = event.actor?.id
        let isNew = reported.withLock { $0[event.id] == nil }
        if isNew, let user, event.role != "admin", try await limits.areUsedUp(by: usage.figures(of: user)) {
            try await book.end([event.id], isDone: false)
            runtime.log.notice("a user has used up the share of today", metadata: ["actor": .stringConvertible(user)])
            return .done([failed(download, "over_quota", "You have used up your share for today; try again tomorrow.")])
        }
        let request = TurnRequest(
            id: event.id, request: event.correlationID, user: user, name: event.actor?.name ?? "",
            link: download.source.url, chat: event.origin?.chat?.number)
        switch try await book.enter(request, waiter: context.waiter, mostWaiting: mostWaiting) {
        case .refused:
            return .done([
                failed(download, "rate_limited", "You have \(mostWaiting) requests waiting; try again later.")
            ])
        case .hasTurn:
            reported.withLock { $0[event.id] = nil }
            if let user { try await usage.count(requestOf: user) }
            return .done([event])
        case .waits: return try await hold(event, download, context)
        }
    }

    private func hold(_ event: Envelope, _ download: MediaDownload, _ context: WorkContext) async throws -> Outcome {
        let place = try await line.current().place(of: event.id)
        // Only the next requests of a user are of interest, and Telegram limits the edits in a chat.
        let limit = interval * max(1, place?.ownPlace ?? 1)
        if await cancellations.isCancelled(CancellationNotes.Request(event), heldBy: context.waiter, limit) {
            return .done([try await cancelled(download, event)])
        }
        guard let place else { return .held(for: .milliseconds(100)) }
        let isNews = reported.withLock { $0.updateValue(place.place, forKey: event.id) } != place.place
        if isNews {
            try await context.publisher.publish(
                .derived(
                    MediaProgress(
                        .queued, kind: download.kind, place: Int64(place.place),
                        waitSeconds: place.wait?.components.seconds)))
        }
        return .held(for: limit)
    }

    private func cancelled(_ download: MediaDownload, _ event: Envelope) async throws -> Envelope {
        try await book.end([event.id], isDone: false)
        reported.withLock { $0[event.id] = nil }
        return failed(download, "cancelled", "It was cancelled.")
    }

    private func failed(_ download: MediaDownload, _ code: String, _ reason: String) -> Envelope {
        .derived(
            DownloadFailed(
                kind: download.kind, url: download.source.url, code: code, reason: reason,
                isTransient: code != "cancelled"))
    }

    /// Removes the requests that processes of this machine held which no longer run: events from a pipe end with their process.
    func forgetLost() async throws {
        let lost = try await book.waiters().filter { _, waiter in
            let words = waiter.rawValue.split(separator: "/")
            guard words.count == 3, words[0] == "pipe" else { return false }
            let process = words[1].split(separator: ":")
            guard process.count == 3, process[0] == Runtime.host, let number = Int32(process[1]) else { return false }
            return number == getpid() || (kill(number, 0) != 0 && errno == ESRCH)
        }
        try await book.end(Array(lost.keys), isDone: false)
    }
}

/// Keeps the newest look into the book for a moment, because many requests ask at the same time.
private final class SharedLine: Sendable {
    private static let keptFor = Duration.seconds(1)

    private let book: TurnBook
    private let latest = Mutex<(line: TurnLine, time: ContinuousClock.Instant)?>(nil)

    init(_ book: TurnBook) { self.book = book }

    func current() async throws -> TurnLine {
        if let latest = latest.withLock({ $0 }), latest.time + SharedLine.keptFor > .now { return latest.line }
        let time = ContinuousClock.now
        let line = try await book.line()
        latest.withLock { $0 = (line, time) }
        return line
    }
}
