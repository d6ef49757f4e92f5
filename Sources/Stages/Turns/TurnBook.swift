package import Envelope
import JSON
package import Redis
package import Stage

/// Describes one request in the book.
package struct TurnRequest: Sendable, Equatable {
    package let id: EventID
    /// The correlation by which the request can be cancelled.
    package let request: EventID
    /// Names the user who asked; nil if the user is not known.
    package let user: Int64?
    /// The user's name, for admins.
    package let name: String
    /// Leads to the wanted media; nil if a file of a message is wanted.
    package let link: String?
    package let chat: Int64?

    package init(id: EventID, request: EventID, user: Int64?, name: String, link: String?, chat: Int64?) {
        (self.id, self.request, self.user, self.name) = (id, request, user, name)
        (self.link, self.chat) = (link, chat)
    }

    /// Requests without a user share no limit.
    var owner: String { user.map(String.init) ?? "request \(id)" }

    var text: String {
        JSON.object([
            "request": .string(request.description), "user": user.map { .integer($0) }, "name": .string(name),
            "link": link.map { .string($0) }, "chat": chat.map { .integer($0) },
        ]).text
    }

    /// Reads a text from Redis; returns nil for one that names no request.
    init?(_ id: EventID, _ text: String) {
        guard let json = try? JSON(parsing: text), let request = json["request"]?.string.flatMap({ EventID($0) }) else {
            return nil
        }
        self.init(
            id: id, request: request, user: json["user"]?.int, name: json["name"]?.string ?? "",
            link: json["link"]?.string, chat: json["chat"]?.int)
    }
}

/// Keeps in Redis which requests for media have a turn and which wait for one, over all processes.
///
/// Each user has a few turns at once. A free turn goes to the user with the fewest, among several to the one who was served longest
/// ago, so that a user with many requests delays nobody else.
package struct TurnBook: Sendable {
    package enum Answer: Sendable, Equatable {
        case hasTurn, waits
        /// The user has as many requests waiting as one may have.
        case refused
    }

    private let runtime: Runtime

    private let waits: Bool

    /// - Parameter waits: whether calls wait while Redis is away. Else they fail.
    package init(_ runtime: Runtime, waits: Bool = true) { (self.runtime, self.waits) = (runtime, waits) }

    private func run(_ script: RedisScript, _ arguments: [RedisArgument]) async throws -> RedisValue {
        guard waits else {
            return try await runtime.redis().run(script, keys: TurnScripts.keys, arguments: arguments)
        }
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.run(script, keys: TurnScripts.keys, arguments: arguments)
        }
    }

    private func wake(_ waiters: RedisValue?, but own: Waiter? = nil) async throws {
        let woken = (waiters?.array ?? []).compactMap(\.string).filter { !$0.isEmpty }.map { Waiter(rawValue: $0) }
        let others = woken.filter { $0 != own }
        if !others.isEmpty { try await runtime.wake(others) }
    }

    // MARK: Requests

    /// Sets the rules that all processes follow.
    ///
    /// - Parameters:
    ///   - perUser: the most turns of one user at once.
    ///   - ahead: the number of turns that exceed the places of the workers, so that no worker waits for an event on its way.
    package func set(perUser: Int, ahead: Int) async throws {
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send(
                "HSET", .text(TurnScripts.keys[9]), "per_user", .integer(Int64(perUser)), "ahead",
                .integer(Int64(ahead)))
        }
    }

    /// Adds a request, unless it is in the book.
    ///
    /// - Parameters:
    ///   - waiter: the event to wake when the request gets its turn.
    ///   - mostWaiting: the most requests of one user that may wait; nil for no limit.
    package func enter(_ request: TurnRequest, waiter: Waiter, mostWaiting: Int? = nil) async throws -> Answer {
        let answer = try await run(
            TurnScripts.enter,
            [
                .text(request.id.description), .text(request.owner), .text(request.text), .text(waiter.rawValue),
                .integer(Int64(mostWaiting ?? 0)),
            ]
        ).array
        try await wake(answer?.last, but: waiter)
        return switch answer?.first?.int {
        case 1: .hasTurn
        case 2: .refused
        default: .waits
        }
    }

    /// Removes requests, whose turns others get.
    ///
    /// - Parameter isDone: whether the work on them is done, so that its time counts for estimates.
    package func end(_ ids: [EventID], isDone: Bool) async throws {
        guard !ids.isEmpty else { return }
        try await wake(
            try await run(TurnScripts.end, [isDone ? 1 : 0] + ids.map { .text($0.description) }))
    }

    /// Notes how many places a worker has, for half a minute. A worker with 0 places is forgotten.
    package func offer(places: Int, of worker: String) async throws {
        try await wake(
            try await run(TurnScripts.offer, [.text(worker), .integer(Int64(places)), .integer(30_000)]))
    }

    // MARK: Looking

    /// Returns who waits and who has a turn.
    package func line() async throws -> TurnLine {
        TurnLine(try await run(TurnScripts.look, []).array ?? [])
    }

    /// Returns the descriptions of requests, in their order, without those that have ended.
    package func requests(_ ids: [EventID]) async throws -> [TurnRequest] {
        guard !ids.isEmpty else { return [] }
        let texts = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let names: [RedisArgument] = ids.map { .text($0.description) }
            return try await redis.send(["HMGET", .text(TurnScripts.keys[3])] + names).array
        }
        return zip(ids, texts ?? []).compactMap { id, text in text.string.flatMap { TurnRequest(id, $0) } }
    }

    /// Returns the events that requests in the book wait with.
    package func waiters() async throws -> [EventID: Waiter] {
        let words =
            try await runtime.untilRedisAnswers { redis throws(RedisError) in
                try await redis.send("HGETALL", .text(TurnScripts.keys[4])).array
            } ?? []
        var found: [EventID: Waiter] = [:]
        for index in stride(from: 0, to: words.count - 1, by: 2) {
            guard let id = words[index].string.flatMap({ EventID($0) }), let waiter = words[index + 1].string else {
                continue
            }
            found[id] = Waiter(rawValue: waiter)
        }
        return found
    }
}

/// Shows at one moment which requests have a turn, and which wait for one.
package struct TurnLine: Sendable {
    /// Describes the place of a request that waits.
    package struct Place: Sendable, Equatable {
        /// 1 for the request that is next.
        package let place: Int
        /// The place among the requests of the same user.
        package let ownPlace: Int
        /// The time until the request gets its turn, if there is experience.
        package let wait: Duration?
    }

    /// The requests that have a turn, in the order in which they got it.
    package let running: [EventID]
    /// The requests that wait, in the order in which they came.
    package let waiting: [EventID]
    private let places: [EventID: Place]

    init(_ answer: [RedisValue]) {
        func ids(_ index: Int) -> [EventID?] {
            index < answer.count ? (answer[index].array ?? []).map { $0.string.flatMap { EventID($0) } } : []
        }
        func users(_ index: Int) -> [String] {
            index < answer.count ? (answer[index].array ?? []).map { $0.string ?? "" } : []
        }
        running = ids(2).compactMap { $0 }
        waiting = ids(0).compactMap { $0 }
        let pace = answer.last?.string.flatMap { Double($0) }.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
        var turns: [String: Int] = [:]
        for user in users(3) { turns[user, default: 0] += 1 }
        var own: [String: Int] = [:]
        // Users take turns: the second request of one comes behind the first ones of all others.
        let order = zip(ids(0), users(1)).enumerated().compactMap { arrival, request -> (EventID, Int, Int, Int)? in
            guard let id = request.0 else { return nil }
            own[request.1, default: 0] += 1
            let ownPlace = own[request.1] ?? 1
            return (id, ownPlace, ownPlace + (turns[request.1] ?? 0), arrival)
        }
        .sorted { ($0.2, $0.3) < ($1.2, $1.3) }
        let busy = max(1, running.count)
        var places: [EventID: Place] = [:]
        for (index, request) in order.enumerated() {
            // Requests leave at the rate at which those with a turn are done, each after the mean time.
            let milliseconds = pace.map { min(Double(index + 1) * $0 / Double(busy), 1e10) }
            places[request.0] = Place(
                place: index + 1, ownPlace: request.1, wait: milliseconds.map { .milliseconds(Int64($0)) })
        }
        self.places = places
    }

    /// Returns the place of a request; nil for one that does not wait.
    package func place(of id: EventID) -> Place? { places[id] }
}
