import Envelope
import Logging
import Payloads
import Redis
import Stage
import Synchronization
import System

/// Ends the work on requests that were cancelled, in whichever process it is being done.
///
/// A cancellation is noted in Redis for an hour. Each process looks there, several times a second, for the requests that it
/// has been working on for longer than that; all others are over before anyone could cancel them. Without Redis, a
/// cancellation reaches the requests of this process only.
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
        let names: [String]
        let userID: Int64?
        let mark: Mark
        let cancel: @Sendable () -> Void
    }

    private static let keptSeconds: Int64 = 3600
    private static let interval = Duration.milliseconds(250)
    /// Stands for everyone in the place of a user's id: a script or an administrator may cancel every request.
    private static let anyone = "any"

    private let runtime: Runtime
    private let watched = Mutex<(next: Int, requests: [Int: Watched])>((0, [:]))
    private let changed = Signal()

    init(runtime: Runtime) { self.runtime = runtime }

    // MARK: - Requests

    /// Works on a request until the work is done or the request is cancelled.
    ///
    /// - Returns: nil if the request was cancelled.
    func work(
        on event: Envelope, _ waiter: Waiter, _ work: @escaping @Sendable () async throws -> Outcome
    ) async throws -> Outcome? {
        let mark = Mark()
        let task = Task { try await Cancellations.$current.withValue(mark) { try await work() } }
        let request = Watched(
            names: Cancellations.names(of: event), userID: event.actor?.id, mark: mark, cancel: task.cancel)
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
            return await isCancelled(request, heldBy: waiter, limit) ? nil : outcome
        } catch {
            if mark.isSet { return nil }
            throw error
        }
    }

    /// Notes which event to wake if a request that is held is cancelled, and returns whether that has happened already.
    private func isCancelled(_ request: Watched, heldBy waiter: Waiter, _ limit: Duration) async -> Bool {
        let seconds = max(1, limit.components.seconds)
        return await runtime.redisIfThere { redis throws(RedisError) in
            let notes = request.names.map { name -> [RedisArgument] in
                ["SET", .text(Cancellations.wakeKey(name)), .text(waiter.rawValue), "EX", .integer(seconds)]
            }
            _ = try await redis.transaction(notes)
            return try await redis.transaction(Cancellations.questions([request]))
        }
        .map { Cancellations.mayEnd(request, $0[...]) } ?? false
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
                await changed.wait(since: generation, atMost: .seconds(60))
                continue
            }
            await look(for: old)
            try? await Task.sleep(for: Cancellations.interval)
        }
    }

    private func look(for requests: [Watched]) async {
        guard !requests.isEmpty else { return }
        let answers = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.transaction(Cancellations.questions(requests))
        }
        var rest = (answers ?? [])[...]
        for request in requests {
            if Cancellations.mayEnd(request, rest.prefix(request.names.count)) { end(request) }
            rest = rest.dropFirst(request.names.count)
        }
    }

    private func end(_ request: Watched) {
        request.mark.set()
        request.cancel()
    }

    // MARK: - Cancelling

    /// Cancels the requests that a command names, if its sender may do so.
    func take(_ event: Envelope) async throws {
        let name = Cancellations.name(of: try MediaCancel(event).requests)
        let sender = event.role == "admin" ? nil : event.actor?.id
        let isNoted = await runtime.redisIfThere { redis throws(RedisError) in
            let key = RedisArgument.text(Cancellations.key(name))
            return try await redis.transaction([
                ["SADD", key, .text(sender.map(String.init) ?? Cancellations.anyone)],
                ["EXPIRE", key, .integer(Cancellations.keptSeconds)],
                ["GET", .text(Cancellations.wakeKey(name))],
            ])
        }
        for request in watched.withLock({ Array($0.requests.values) })
        where request.names.contains(name) && Cancellations.mayEnd(request, by: sender) {
            end(request)
        }
        guard let isNoted else {
            return runtime.log.warning("without Redis, a cancellation reaches only the requests of this process")
        }
        if let waiter = isNoted.last?.string { try await runtime.wake([Waiter(rawValue: waiter)]) }
    }

    // MARK: - Names and keys

    /// Returns the names by which a command can refer to a request.
    private static func names(of event: Envelope) -> [String] {
        var requests = [MediaCancel.Requests.correlation(event.correlationID)]
        if let chatID = event.origin?.chat?.number, let messageID = event.origin?.messageID {
            requests.append(.message(id: messageID, chatID: chatID))
        }
        return requests.map(name)
    }

    private static func name(of requests: MediaCancel.Requests) -> String {
        switch requests {
        case .correlation(let id): id.description
        case .message(let id, let chatID): "\(chatID)/\(id)"
        }
    }

    private static func key(_ name: String) -> String { "tgpipe:cancel:\(name)" }
    private static func wakeKey(_ name: String) -> String { "tgpipe:cancel-wake:\(name)" }

    private static func questions(_ requests: [Watched]) -> [[RedisArgument]] {
        requests.flatMap(\.names).map { ["SMEMBERS", .text(key($0))] }
    }

    /// - Parameter answers: who has cancelled the request, for each of its names.
    private static func mayEnd(_ request: Watched, _ answers: ArraySlice<RedisValue>) -> Bool {
        answers.flatMap { $0.array ?? [] }.contains { who in
            who.string == anyone || (who.int != nil && who.int == request.userID)
        }
    }

    private static func mayEnd(_ request: Watched, by sender: Int64?) -> Bool {
        sender == nil || sender == request.userID
    }
}
