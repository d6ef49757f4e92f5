/// Counts events by key in Redis, for all processes and machines together, by Redis's own clock.
package struct RateLimiter: Sendable {
    package let rule: RateLimit
    private let redis: Redis
    private let script: RedisScript
    private let keySuffixes: [[UInt8]]
    /// The beginning of every key in Redis.
    private let prefix: [UInt8]
    private let refunds: RateRefund
    /// The mode and the rule for scripts, in the protocol's form.
    private let scriptArguments: [RateMode: [UInt8]]
    private let counting: CounterWords

    package init(_ redis: Redis, _ rule: RateLimit) {
        self.redis = redis
        self.rule = rule
        let (script, suffixes) = RateScripts.script(for: rule.algorithm)
        self.script = script
        keySuffixes = suffixes.map { Array($0.utf8) }
        prefix = Array("tgpipe:rate:\(rule.name):{".utf8)
        refunds = RateRefund(redis)
        counting = CounterWords(rule)
        var arguments: [RateMode: [UInt8]] = [:]
        for mode in RateMode.allCases {
            var batch = CommandBatch()
            batch.add(mode.rawValue)
            for number in [Int64(rule.limit), rule.windowMilliseconds, Int64(rule.burst)] { batch.add(number) }
            arguments[mode] = batch.bytes
        }
        scriptArguments = arguments
    }

    /// Decides on one event, in one atomic step.
    package func decide(_ key: String, _ mode: RateMode = .checkAndCount) async throws(RedisError) -> RateDecision {
        try await decide([key], mode)[0]
    }

    /// Decides on many events at once, in order; the events of one key in one atomic step.
    ///
    /// - Parameters:
    ///   - keys: the key of each event.
    ///   - requests: for each event, the correlation id of the request, if tg-send may give it back when it fails: see
    ///     `RateRefund`. An empty list stands for no such event.
    ///   - timeout: the longest time that each round trip may take.
    package func decide(
        _ keys: [String], _ mode: RateMode = .checkAndCount, requests: [String?] = [], timeout: Duration? = nil
    ) async throws(RedisError) -> [RateDecision] {
        var batch = RateKeys(events: keys.count)
        for key in keys { batch.add(key) }
        return try await ask(batch, mode, timeout: timeout)
            .decisions { $0 < requests.count ? requests[$0] : nil }
    }

    /// Asks for decisions on many events without waiting for the answer, so that the next ones can be asked for meanwhile. They are
    /// decided on in the order in which they are asked for.
    package func ask(
        _ keys: RateKeys, _ mode: RateMode = .checkAndCount, timeout: Duration? = nil
    ) async throws(RedisError) -> Question {
        let usesCounters = rule.algorithm == .fixed && mode == .checkAndCount
        return Question(
            limiter: self, keys: keys, mode: mode, timeout: timeout,
            asked: usesCounters ? askCounters(keys, timeout) : try await askScript(keys, mode, timeout))
    }

    /// Represents decisions that Redis has been asked for.
    package struct Question: Sendable {
        fileprivate enum Asked {
            case counters(Redis.Started)
            case script(runs: [Range<Int>], Redis.StartedRuns)
        }

        fileprivate let limiter: RateLimiter
        fileprivate let keys: RateKeys
        fileprivate let mode: RateMode
        fileprivate let timeout: Duration?
        fileprivate let asked: Asked

        /// Waits for the decisions on all events, in order.
        ///
        /// - Parameter request: returns the correlation id of the request of an event, given by its place, if tg-send may give the
        ///   request back when it fails. It is called for allowed events only.
        package func decisions(
            request: (Int) -> String? = { _ in nil }
        ) async throws(RedisError) -> [RateDecision] {
            var answers: [RateAnswer]
            switch asked {
            case .counters(let sent): answers = try await limiter.counterAnswers(keys, sent, timeout)
            case .script(let runs, let sent): answers = try await limiter.scriptAnswers(keys, mode, runs, sent, timeout)
            }
            var decisions: [RateDecision] = []
            decisions.reserveCapacity(keys.count)
            var counted: [(request: String, key: String)] = []
            for (event, place) in keys.keyOfEvent.enumerated() {
                let decision = answers[Int(place)].next()
                decisions.append(decision)
                if decision.isAllowed, let request = request(event) {
                    counted.append((request, limiter.redisKey(keys.text(keys.keys[Int(place)]))))
                }
            }
            if !counted.isEmpty { try await limiter.refunds.note(counted, for: limiter.rule, timeout: timeout) }
            return decisions
        }
    }

    /// Returns the key in Redis of the count of an event's key.
    private func redisKey(_ escapedKey: String) -> String {
        String(decoding: prefix, as: UTF8.self) + escapedKey + String(decoding: keySuffixes[0], as: UTF8.self)
    }

    private var unexpected: RedisError {
        RedisError(.protocolError, "Redis at \(redis.address) returned an unexpected answer to a count")
    }
}

// MARK: Fixed windows, with plain commands

extension RateLimiter {
    /// Raises the counters of fixed windows, and opens windows for those that have none. The call of a script would take most of the time
    /// of a decision.
    ///
    /// A counter lives as long as its window. The first refusal raises it to one above the limit, which marks it.
    private func askCounters(_ keys: RateKeys, _ timeout: Duration?) -> Question.Asked {
        var batch = CommandBatch()
        let wordBytes = counting.opening.count + counting.options.count + counting.raising.count
        batch.reserve(bytes: 2 * keys.bytes.count + keys.keys.count * (2 * (prefix.count + 12) + wordBytes))
        for key in keys.keys {
            let word = keys.bytes[key.place]
            // Both commands go together, always: Redis may carry them out after the window has ended, when nobody waits for the answer
            // any more, and a counter without an end would refuse for ever.
            batch.begin(encoded: counting.opening)
            batch.add(joining: prefix, word, keySuffixes[0])
            batch.addEncoded(counting.options)
            batch.begin(encoded: counting.raising)
            batch.add(joining: prefix, word, keySuffixes[0])
            batch.add(key.events)
        }
        return .counters(redis.start(batch, timeout: timeout))
    }

    /// Holds the words of the commands of fixed windows, in the protocol's form, without the keys.
    fileprivate struct CounterWords: Sendable {
        let opening: [UInt8]
        let options: [UInt8]
        let raising: [UInt8]
        let asking: [UInt8]

        init(_ rule: RateLimit) {
            func encoded(_ words: [String], arguments: Int? = nil, _ write: (inout CommandBatch) -> Void = { _ in })
                -> [UInt8]
            {
                var batch = CommandBatch()
                if let arguments { batch.begin(arguments: arguments) }
                for word in words { batch.add(word) }
                write(&batch)
                return batch.bytes
            }
            opening = encoded(["SET"], arguments: 6)
            options = encoded(["0", "PX"]) {
                $0.add(rule.windowMilliseconds)
                $0.add("NX")
            }
            raising = encoded(["INCRBY"], arguments: 3)
            asking = encoded(["PTTL"], arguments: 2)
        }
    }

    /// Represents the counter of a key.
    private struct Counter {
        /// The count before the events.
        let used: Int64
        /// The rest of the window in ms; only if events are refused.
        var rest: Int64 = 0
    }

    private func counterAnswers(
        _ keys: RateKeys, _ sent: Redis.Started, _ timeout: Duration?
    ) async throws(RedisError) -> [RateAnswer] {
        let limit = Int64(rule.limit)
        let replies = try await sent.replies()
        guard replies.count == 2 * keys.keys.count else { throw unexpected }
        var counters: [Counter] = []
        counters.reserveCapacity(keys.keys.count)
        var unclear: [Int] = []
        for (index, key) in keys.keys.enumerated() {
            let isNew = try !redis.checked(replies[2 * index]).isNull
            guard let count = try redis.checked(replies[2 * index + 1]).int else { throw unexpected }
            let counter = Counter(used: max(0, count &- key.events))
            // A window that ended between the two commands left a counter that would never end.
            let isEndless = !isNew && counter.used == 0
            if counter.used > limit - key.events || isEndless { unclear.append(index) }
            counters.append(counter)
        }
        if !unclear.isEmpty { try await readRests(of: unclear, keys, &counters, timeout) }
        return counters.map { counter in
            let refusal = 2 * counter.rest + (counter.used <= limit ? 1 : 0)
            return RateAnswer(free: limit - counter.used, refusal: refusal, .checkAndCount)
        }
    }

    /// Asks how many ms windows still last, and ends those later that would never end.
    private func readRests(
        of places: [Int], _ keys: RateKeys, _ counters: inout [Counter], _ timeout: Duration?
    ) async throws(RedisError) {
        var batch = CommandBatch()
        for place in places {
            batch.begin(encoded: counting.asking)
            batch.add(joining: prefix, keys.bytes[keys.keys[place].place], keySuffixes[0])
        }
        var endless = CommandBatch()
        for (place, reply) in zip(places, try await redis.pipeline(batch, timeout: timeout)) {
            guard let rest = try redis.checked(reply).int else { throw unexpected }
            // -2: the window has just ended. -1: it has no end.
            counters[place].rest = rest == -1 ? rule.windowMilliseconds : max(rest, 1)
            guard rest == -1 else { continue }
            endless.begin(arguments: 3)
            endless.add("PEXPIRE")
            endless.add(joining: prefix, keys.bytes[keys.keys[place].place], keySuffixes[0])
            endless.add(rule.windowMilliseconds)
        }
        try redis.checked(try await redis.pipeline(endless, timeout: timeout))
    }
}

// MARK: Other windows and modes, with scripts

extension RateLimiter {
    /// The most keys, and events, that one run of the script decides on, which takes about a millisecond: the server serves no other
    /// client during a run. A key with more events has a run of its own.
    private static let (keysPerRun, eventsPerRun) = (64, Int64(4096))

    private func askScript(
        _ keys: RateKeys, _ mode: RateMode, _ timeout: Duration?
    ) async throws(RedisError) -> Question.Asked {
        var runs: [Range<Int>] = []
        var (start, events) = (0, Int64(0))
        for (place, key) in keys.keys.enumerated() {
            if place > start, place - start == Self.keysPerRun || events + key.events > Self.eventsPerRun {
                runs.append(start..<place)
                (start, events) = (place, 0)
            }
            events += key.events
        }
        if start < keys.keys.count { runs.append(start..<keys.keys.count) }
        return .script(runs: runs, try await self.start(runs, keys, mode, timeout))
    }

    /// - Parameter runs: the keys of each run of the script.
    private func start(
        _ runs: [Range<Int>], _ keys: RateKeys, _ mode: RateMode, _ timeout: Duration?
    ) async throws(RedisError) -> Redis.StartedRuns {
        let arguments = scriptArguments[mode] ?? []
        return try await redis.start(script, count: runs.count, timeout: timeout) { run, hash, batch in
            let run = keys.keys[runs[run]]
            let words = run.count * keySuffixes.count
            batch.begin(arguments: 3 + words + 4 + run.count)
            batch.add("EVALSHA")
            batch.add(hash)
            batch.add(Int64(words))
            for key in run {
                for suffix in keySuffixes { batch.add(joining: prefix, keys.bytes[key.place], suffix) }
            }
            batch.addEncoded(arguments)
            for key in run { batch.add(key.events) }
        }
    }

    private func scriptAnswers(
        _ keys: RateKeys, _ mode: RateMode, _ runs: [Range<Int>], _ sent: Redis.StartedRuns, _ timeout: Duration?
    ) async throws(RedisError) -> [RateAnswer] {
        var answers: [RateAnswer] = []
        answers.reserveCapacity(keys.keys.count)
        for (run, reply) in zip(runs, try await sent.replies()) {
            if case .error(let text) = reply, text.hasPrefix("CROSSSLOT") {
                // A cluster runs no script over the keys of several events, and refused this one before it began.
                let single = try await start(run.map { $0..<$0 + 1 }, keys, mode, timeout)
                for reply in try await single.replies() { answers += try self.answers(in: reply, count: 1, mode) }
            } else {
                answers += try self.answers(in: reply, count: run.count, mode)
            }
        }
        return answers
    }

    private func answers(in reply: RedisValue, count: Int, _ mode: RateMode) throws(RedisError) -> [RateAnswer] {
        let numbers = try redis.checked(reply).array?.compactMap(\.int) ?? []
        guard numbers.count == 2 * count else { throw unexpected }
        return (0..<count).map { RateAnswer(free: numbers[2 * $0], refusal: numbers[2 * $0 + 1], mode) }
    }
}
