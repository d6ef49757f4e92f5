package import Envelope
package import JSON
import Payloads
package import Redis

/// Notes in Redis which requests for media were cancelled, so that each process can look there for the requests that it holds.
///
/// A note is kept for an hour. It names a request by its correlation, or by the message that it came from.
package struct CancellationNotes: Sendable {
    /// Holds the names by which a command can refer to a request, and the user who made it.
    package struct Request: Sendable {
        package let names: [String]
        package let userID: Int64?

        package init(_ event: Envelope) {
            var requests = [MediaCancel.Requests.correlation(event.correlationID)]
            if let chatID = event.origin?.chat?.number, let messageID = event.origin?.messageID {
                requests.append(.message(id: messageID, chatID: chatID))
            }
            names = requests.map(CancellationNotes.name)
            userID = event.actor?.id
        }

        /// - Parameter answers: who has cancelled the request, for each of its names.
        fileprivate func isCancelled(_ answers: ArraySlice<RedisValue>) -> Bool {
            answers.flatMap { $0.array ?? [] }.contains { who in
                who.string == CancellationNotes.anyone || (who.int != nil && who.int == userID)
            }
        }

        /// Returns whether a command from a user ends the request; nil stands for a script or an administrator.
        package func mayBeEnded(by sender: Int64?) -> Bool { sender == nil || sender == userID }
    }

    /// Holds what a command to cancel says: the requests, and whose they must be.
    package struct Command: Sendable {
        package let name: String
        /// The user who sent the command; nil for a script or an administrator, who may cancel every request.
        package let sender: Int64?

        /// - Throws: `MalformedInput` if the event does not name any requests.
        package init(_ event: Envelope) throws(MalformedInput) {
            name = CancellationNotes.name(of: try MediaCancel(event).requests)
            sender = event.role == "admin" ? nil : event.actor?.id
        }
    }

    private static let keptSeconds: Int64 = 3600
    /// Stands for everyone in the place of a user's id.
    fileprivate static let anyone = "any"

    private let runtime: Runtime

    package init(_ runtime: Runtime) { self.runtime = runtime }

    /// Returns which of the requests were cancelled; none without Redis.
    package func cancelled(_ requests: [Request]) async -> [Bool] {
        guard !requests.isEmpty else { return [] }
        let answers = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.pipeline(
                requests.flatMap(\.names).map { ["SMEMBERS", .text(CancellationNotes.key($0))] })
        }
        var rest = (answers ?? [])[...]
        return requests.map { request in
            defer { rest = rest.dropFirst(request.names.count) }
            return request.isCancelled(rest.prefix(request.names.count))
        }
    }

    /// Returns whether the request that an event makes was cancelled.
    package func isCancelled(_ event: Envelope) async -> Bool { await cancelled([Request(event)]).first ?? false }

    /// Notes which event to wake if a request that is held is cancelled, and returns whether that has happened already.
    package func isCancelled(_ request: Request, heldBy waiter: Waiter, _ limit: Duration) async -> Bool {
        let seconds = max(1, limit.components.seconds)
        _ = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.pipeline(
                request.names.map {
                    ["SET", .text(CancellationNotes.wakeKey($0)), .text(waiter.rawValue), "EX", .integer(seconds)]
                })
        }
        return await cancelled([request]).first ?? false
    }

    /// Notes that requests are cancelled, and wakes the event of one that is held.
    ///
    /// - Returns: false if Redis cannot be reached, so that no other process learns of it.
    package func note(_ command: Command) async throws -> Bool {
        // Who holds the request notes its event before it looks for cancellations, so the cancellation is noted before the event is
        // looked for: one of the two always sees the other.
        let waiter = await runtime.redisIfThere { redis throws(RedisError) in
            let key = RedisArgument.text(CancellationNotes.key(command.name))
            _ = try await redis.transaction([
                ["SADD", key, .text(command.sender.map(String.init) ?? CancellationNotes.anyone)],
                ["EXPIRE", key, .integer(CancellationNotes.keptSeconds)],
            ])
            return try await redis.send("GET", .text(CancellationNotes.wakeKey(command.name)))
        }
        guard let waiter else { return false }
        if let waiter = waiter.string { try await runtime.wake([Waiter(rawValue: waiter)]) }
        return true
    }

    // MARK: - Names and keys

    fileprivate static func name(of requests: MediaCancel.Requests) -> String {
        switch requests {
        case .correlation(let id): id.description
        case .message(let id, let chatID): "\(chatID)/\(id)"
        }
    }

    private static func key(_ name: String) -> String { "tgpipe:cancel:\(name)" }
    private static func wakeKey(_ name: String) -> String { "tgpipe:cancel-wake:\(name)" }
}
