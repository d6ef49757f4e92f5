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
    private let windows = KnownWindows()

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
            case counters([KnownWindows.State], Redis.Started)
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
            case .counters(let states, let sent):
                answers = try await limiter.counterAnswers(keys, states, sent, timeout)
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
        let states = windows.states(of: keys.keys)
        var batch = CommandBatch()
        let wordBytes = counting.opening.count + counting.options.count + counting.raising.count + counting.asking.count
        batch.reserve(bytes: 3 * keys.bytes.count + keys.keys.count * (3 * (prefix.count + 12) + wordBytes))
        for (key, state) in zip(keys.keys, states) {
            let word = keys.bytes[key.place]
            if state == .unknown {
                batch.begin(encoded: counting.opening)
                batch.add(joining: prefix, word, keySuffixes[0])
                batch.addEncoded(counting.options)
            }
            batch.begin(encoded: counting.raising)
            batch.add(joining: prefix, word, keySuffixes[0])
            batch.add(key.events)
            if state == .over {
                batch.begin(encoded: counting.asking)
                batch.add(joining: prefix, word, keySuffixes[0])
            }
        }
        return .counters(states, redis.start(batch, timeout: timeout))
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

    /// Holds what is known about the counter of a key after it was raised.
    private struct Counter {
        /// The count before the events.
        var used: Int64
        /// The rest of the window in ms; nil if it is not known.
        var rest: Int64?
        /// Is true if the counter may have no end: a window that ended between the commands leaves one.
        var mayBeEndless = false
    }

    private func counterAnswers(
        _ keys: RateKeys, _ states: [KnownWindows.State], _ sent: Redis.Started, _ timeout: Duration?
    ) async throws(RedisError) -> [RateAnswer] {
        let limit = Int64(rule.limit)
        var counters = try counters(keys, states, try await sent.replies())
        var unclear: [Int] = []
        for (index, counter) in counters.enumerated() {
            let isRefused = counter.used > limit - keys.keys[index].events
            if counter.rest == nil ? isRefused || counter.mayBeEndless : counter.rest == -1 { unclear.append(index) }
        }
        if !unclear.isEmpty { try await readRests(of: unclear, keys, &counters, timeout) }
        windows.note(
            counters.indices.compactMap { index in
                let (counter, key) = (counters[index], keys.keys[index])
                return counter.rest.map { (key, .milliseconds($0), counter.used > limit - key.events) }
            })
        return counters.map { counter in
            let refusal = 2 * max(counter.rest ?? 0, 1) + (counter.used <= limit ? 1 : 0)
            return RateAnswer(free: limit - counter.used, refusal: refusal, .checkAndCount)
        }
    }

    private func counters(
        _ keys: RateKeys, _ states: [KnownWindows.State], _ replies: [RedisValue]
    ) throws(RedisError) -> [Counter] {
        var counters: [Counter] = []
        counters.reserveCapacity(keys.keys.count)
        var next = replies.startIndex
        func reply() throws(RedisError) -> RedisValue {
            guard next < replies.endIndex else { throw unexpected }
            defer { next += 1 }
            return try redis.checked(replies[next])
        }
        for (key, state) in zip(keys.keys, states) {
            let isNew = state == .unknown ? try !reply().isNull : false
            guard let count = try reply().int else { throw unexpected }
            var counter = Counter(used: max(0, count &- key.events))
            counter.mayBeEndless = !isNew && counter.used == 0
            if isNew { counter.rest = rule.windowMilliseconds }
            if state == .over {
                guard let rest = try reply().int else { throw unexpected }
                counter.rest = rest
            }
            counters.append(counter)
        }
        return counters
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
        for reply in try await redis.pipeline(endless, timeout: timeout) { _ = try redis.checked(reply) }
    }
}

// MARK: Other windows and modes, with scripts

extension RateLimiter {
    /// The number of keys that one run of the script decides on, which takes well under a millisecond: the server serves no other client
    /// during a run.
    private static let keysPerRun = 64

    private func askScript(
        _ keys: RateKeys, _ mode: RateMode, _ timeout: Duration?
    ) async throws(RedisError) -> Question.Asked {
        let runs = stride(from: 0, to: keys.keys.count, by: Self.keysPerRun).map {
            $0..<min(keys.keys.count, $0 + Self.keysPerRun)
        }
        return .script(runs: runs, try await start(runs, keys, mode, timeout))
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
