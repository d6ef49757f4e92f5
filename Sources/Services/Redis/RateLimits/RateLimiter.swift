/// Counts events by key in Redis, for all processes and machines together, by Redis's own clock.
package struct RateLimiter: Sendable {
    package let rule: RateLimit
    private let redis: Redis
    private let script: RedisScript
    private let keySuffixes: [String]
    /// The beginning of every key in Redis.
    private let prefix: String
    private let refunds: RateRefund

    package init(_ redis: Redis, _ rule: RateLimit) {
        self.redis = redis
        self.rule = rule
        (script, keySuffixes) = RateScripts.script(for: rule.algorithm)
        prefix = "tgpipe:rate:\(rule.name):{"
        refunds = RateRefund(redis)
    }

    /// Decides on one event, in one atomic step.
    package func decide(_ key: String, _ mode: RateMode = .checkAndCount) async throws(RedisError) -> RateDecision {
        try await decide([key], mode)[0]
    }

    /// Decides on many events at once, each in one atomic step, in order.
    ///
    /// - Parameters:
    ///   - keys: the key of each event.
    ///   - requests: for each event, the correlation id of the request, if tg-send may give it back when it fails: see
    ///     `RateRefund`. An empty list stands for no such event.
    ///   - timeout: the longest time that each round trip may take.
    package func decide(
        _ keys: [String], _ mode: RateMode = .checkAndCount, requests: [String?] = [], timeout: Duration? = nil
    ) async throws(RedisError) -> [RateDecision] {
        let usesCounters = rule.algorithm == .fixed && mode == .checkAndCount
        let decisions =
            usesCounters ? try await raiseCounters(keys, timeout) : try await runScript(keys, mode, timeout)
        let counted = zip(zip(keys, requests), decisions).compactMap { pair, decision in
            decision.isAllowed ? pair.1.map { (request: $0, key: redisKey(pair.0)) } : nil
        }
        if !counted.isEmpty { try await refunds.note(counted, for: rule, timeout: timeout) }
        return decisions
    }

    /// Returns the key in Redis of the count of an event's key.
    private func redisKey(_ event: String) -> String { prefix + HashTag.escaped(event) + keySuffixes[0] }
}

// MARK: Fixed windows, with plain commands

extension RateLimiter {
    /// Represents the events of one key in a batch.
    private struct Counter {
        /// The key in Redis.
        let key: String
        var events: Int64 = 1
        /// The count before these events.
        var used: Int64 = 0
        /// The rest of the window in ms; only if events are refused.
        var rest: Int64 = 0
    }

    /// Compares keys as Redis does, by their bytes: for Swift, texts with the same characters in other bytes are equal.
    private struct Name: Hashable {
        let text: String

        static func == (a: Name, b: Name) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

        func hash(into hasher: inout Hasher) {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    /// Counts events in fixed windows. The call of a script would take most of the time of a decision.
    ///
    /// A counter lives as long as its window. The first refusal raises it to one above the limit, which marks it.
    private func raiseCounters(_ keys: [String], _ timeout: Duration?) async throws(RedisError) -> [RateDecision] {
        var places: [Name: Int] = [:]
        var counters: [Counter] = []
        let placeOfEvent = keys.map { key in
            let place = places[Name(text: key), default: counters.count]
            if place < counters.count {
                counters[place].events += 1
                return place
            }
            places[Name(text: key)] = place
            counters.append(Counter(key: redisKey(key)))
            return place
        }
        try await open(&counters, timeout)
        let limit = Int64(rule.limit)
        return placeOfEvent.map { place in
            counters[place].used += 1
            let used = counters[place].used
            guard used > limit else {
                return RateDecision(
                    isAllowed: true, remaining: Int(limit - used), retryAfterMilliseconds: 0, isFirstRefusal: false)
            }
            return RateDecision(
                isAllowed: false, remaining: 0, retryAfterMilliseconds: counters[place].rest,
                isFirstRefusal: used == limit + 1)
        }
    }

    /// Raises the counters, and opens windows for those that have none.
    private func open(_ counters: inout [Counter], _ timeout: Duration?) async throws(RedisError) {
        var batch = CommandBatch()
        let window = rule.windowMilliseconds
        for counter in counters {
            batch.begin(arguments: 6)
            for word in ["SET", counter.key, "0", "PX"] { batch.add(word) }
            batch.add(window)
            batch.add("NX")
            batch.begin(arguments: 3)
            batch.add("INCRBY")
            batch.add(counter.key)
            batch.add(counter.events)
        }
        let replies = try await redis.pipeline(batch, timeout: timeout)
        var unclear: [Int] = []
        for index in counters.indices {
            let isNew = try !redis.checked(replies[2 * index]).isNull
            guard let count = try redis.checked(replies[2 * index + 1]).int else { throw unexpected }
            counters[index].used = max(0, count - counters[index].events)
            // A window that ended between the two commands left a counter that would never end.
            let isEndless = !isNew && counters[index].used == 0
            if count > Int64(rule.limit) || isEndless { unclear.append(index) }
        }
        guard !unclear.isEmpty else { return }
        try await readRests(of: unclear, in: &counters, timeout)
    }

    /// Asks how long windows still last, and ends those later that would never end.
    private func readRests(
        of places: [Int], in counters: inout [Counter], _ timeout: Duration?
    ) async throws(RedisError) {
        let replies = try await redis.pipeline(places.map { ["PTTL", .text(counters[$0].key)] }, timeout: timeout)
        let window = rule.windowMilliseconds
        var endless: [[RedisArgument]] = []
        for (place, reply) in zip(places, replies) {
            guard let rest = try redis.checked(reply).int else { throw unexpected }
            // -2: the window has just ended. -1: it has no end.
            counters[place].rest = rest == -1 ? window : max(rest, 1)
            if rest == -1 { endless.append(["PEXPIRE", .text(counters[place].key), .integer(window)]) }
        }
        guard !endless.isEmpty else { return }
        for reply in try await redis.pipeline(endless, timeout: timeout) { _ = try redis.checked(reply) }
    }

    private var unexpected: RedisError {
        RedisError(.protocolError, "Redis at \(redis.address) returned an unexpected answer to a count")
    }
}

// MARK: Other windows and modes, with scripts

extension RateLimiter {
    private func runScript(
        _ keys: [String], _ mode: RateMode, _ timeout: Duration?
    ) async throws(RedisError) -> [RateDecision] {
        let runs = stride(from: 0, to: keys.count, by: Self.eventsPerRun).map {
            keys[$0..<min(keys.count, $0 + Self.eventsPerRun)]
        }
        var decisions: [RateDecision] = []
        decisions.reserveCapacity(keys.count)
        for (run, reply) in zip(runs, try await replies(to: runs, mode, timeout)) {
            if case .error(let text) = reply, text.hasPrefix("CROSSSLOT") {
                // A cluster runs no script over the keys of several events, and refused this one before it began.
                for reply in try await replies(to: run.map { [$0] }, mode, timeout) {
                    decisions += try self.decisions(of: reply, count: 1)
                }
            } else {
                decisions += try self.decisions(of: reply, count: run.count)
            }
        }
        return decisions
    }

    /// - Parameter runs: the keys of each run of the script. The server serves no other client during a run.
    private func replies(
        to runs: [ArraySlice<String>], _ mode: RateMode, _ timeout: Duration?
    ) async throws(RedisError) -> [RedisValue] {
        let arguments = encodedArguments(mode)
        return try await redis.run(script, count: runs.count, timeout: timeout) { run, hash, batch in
            let words = runs[run].count * keySuffixes.count
            batch.begin(arguments: 3 + words + 4)
            batch.add("EVALSHA")
            batch.add(hash)
            batch.add(Int64(words))
            for event in runs[run] {
                let key = HashTag.escaped(event)
                for suffix in keySuffixes { batch.add(joining: prefix, key, suffix) }
            }
            batch.addEncoded(arguments)
        }
    }

    private func decisions(of reply: RedisValue, count: Int) throws(RedisError) -> [RateDecision] {
        let numbers = try redis.checked(reply).array?.compactMap(\.int) ?? []
        guard numbers.count == count else { throw unexpected }
        return numbers.map { RateDecision(packed: $0) }
    }

    /// The number of events that one run of the script decides on, which takes well under a millisecond.
    private static let eventsPerRun = 32

    private func encodedArguments(_ mode: RateMode) -> [UInt8] {
        var batch = CommandBatch()
        batch.add(mode.rawValue)
        batch.add(Int64(rule.limit))
        batch.add(rule.windowMilliseconds)
        batch.add(Int64(rule.burst))
        return batch.bytes
    }
}
