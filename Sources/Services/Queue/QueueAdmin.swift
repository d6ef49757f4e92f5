import JSON
package import Redis

/// What people do with a queue beside working on it: submit jobs, look, send dead letters round again, throw away.
package struct QueueAdmin: Sendable {
    package let queue: QueueName
    private let redis: Redis

    package init(_ queue: QueueName, redis: Redis) {
        self.queue = queue
        self.redis = redis
    }

    /// All queues that there are, by name: those that tgpipe has written to or read from, and those that somebody made with XADD.
    package static func all(_ redis: Redis) async throws -> [QueueName] {
        let known = try await redis.send("SMEMBERS", .text(QueueName.namesKey)).array ?? []
        var names = Set(known.compactMap { name in name.string.flatMap { try? QueueName($0) } })
        var cursor = "0"
        repeat {
            let page = try await redis.send(
                "SCAN", .text(cursor), .text("MATCH"), .text(QueueName.anyStreamKey), .text("COUNT"), .integer(1000)
            ).array
            let keys = page?.last?.array ?? []
            names.formUnion(keys.compactMap { $0.string.flatMap(QueueName.init(streamKey:)) })
            cursor = page?.first?.string ?? "0"
        } while cursor != "0"
        return names.sorted { $0.text < $1.text }
    }

    // MARK: submitting

    package struct Job: Sendable {
        package let id: String
        /// Without its line feed.
        package let line: [UInt8]

        package init(id: String, line: [UInt8]) {
            self.id = id
            self.line = line
        }
    }

    /// One submission; to be repeated with the same.
    package struct Submission: Sendable {
        let now: Timestamp
        let until: Timestamp

        /// - Parameter window: for how long its jobs are remembered.
        package init(window: Duration) {
            now = .now
            until = now + window
        }
    }

    /// Publishes jobs, each at most once in a span of time, however often it is submitted.
    ///
    /// - Returns: the indices of those that had been submitted before; nil when the queue is full.
    package func submit(_ jobs: [Job], maxLength: Int, as submission: Submission) async throws -> [Int]? {
        let answer = try await run(
            QueueAdminScripts.submit, keys: [queue.streamKey, queue.key("jobs")],
            [
                .integer(submission.until.microseconds), .integer(submission.now.microseconds),
                .integer(Int64(maxLength)),
            ] + jobs.flatMap { [.text($0.id), .bytes($0.line)] })
        if answer.int == -1 { return nil }
        return answer.array?.compactMap { $0.int.map { Int($0) - 1 } } ?? []
    }

    // MARK: looking

    package struct Entry: Sendable {
        package let id: String
        /// By name: `e` is the line.
        package let fields: [String: [UInt8]]

        package var line: [UInt8] { fields["e"] ?? [] }
        package func text(_ name: String) -> String? { fields[name].map { String(decoding: $0, as: UTF8.self) } }
        /// When it came, in ms since 1970.
        package var milliseconds: Int64 { Int64(id.prefix { $0 != "-" }) ?? 0 }
    }

    /// Entries from the oldest on.
    ///
    /// - Parameter id: those behind it only.
    package func entries(dead: Bool, after id: String? = nil, limit: Int) async throws -> [Entry] {
        let key = dead ? queue.deadKey : queue.streamKey
        let start = id.map(QueueAdmin.next) ?? "-"
        let answer = try await explaining { () throws(RedisError) in
            try await redis.send("XRANGE", .text(key), .text(start), "+", "COUNT", .integer(Int64(limit)))
        }
        return answer.array?.compactMap(Entry.init) ?? []
    }

    private static func next(_ id: String) -> String {
        let words = id.split(separator: "-")
        return words.count == 2 ? "\(words[0])-\((UInt64(words[1]) ?? 0) + 1)" : id
    }

    /// An entry that a group has taken and not finished.
    package struct Pending: Sendable {
        package enum State: String, Sendable { case working, retrying, held }

        package let entry: Entry
        package let state: State
        package let worker: String?
        package let attempts: Int
        /// Until when it is leased, or when it is taken again; ms since 1970.
        package let dueMilliseconds: Int64?
        package let lastFailure: String?
    }

    package func pending(group name: String, limit: Int) async throws -> [Pending] {
        let group = try QueueGroup(queue, name)
        let answer: RedisValue
        do {
            answer = try await explaining { () throws(RedisError) in
                try await redis.send("XPENDING", .text(queue.streamKey), .text(name), "-", "+", .integer(Int64(limit)))
            }
        } catch let error as RedisError where error.message.contains("NOGROUP") {
            throw QueueError(.noGroup, "\(queue) has no group \(name)", underlying: error)
        }
        var found: [Pending] = []
        for row in answer.array ?? [] {
            guard let row = row.array, row.count == 4, let id = row[0].string, let consumer = row[1].string,
                let attempts = row[3].int
            else { continue }
            let replies = try await explaining { () throws(RedisError) in
                .array(
                    try await redis.pipeline([
                        ["XRANGE", .text(queue.streamKey), .text(id), .text(id)],
                        ["ZSCORE", .text(group.dueKey), .text(id)],
                        ["HGET", .text(group.failuresKey), .text(id)],
                    ]))
            }
            guard let details = replies.array, let entry = details[0].array?.first.flatMap(Entry.init) else { continue }
            let state: Pending.State = consumer == "held" ? .held : consumer == "retry" ? .retrying : .working
            found.append(
                Pending(
                    entry: entry, state: state, worker: state == .working ? consumer : nil, attempts: Int(attempts),
                    dueMilliseconds: details[1].string.flatMap { Double($0) }.map { Int64($0) },
                    lastFailure: details[2].string.map { String($0.drop { $0 != " " }.dropFirst()) }))
        }
        return found
    }

    package struct Stats: Sendable {
        package struct Group: Sendable {
            package let name: String
            /// Not given to anybody.
            package var new = 0
            package var working = 0
            package var retrying = 0
            package var held = 0
            /// Those that work on something.
            package var workers = 0

            /// Not acknowledged.
            package var open: Int { new + working + retrying + held }
        }

        /// What some group has not acknowledged; all, while there is no group.
        package let events: Int
        package let dead: Int
        package let oldestMilliseconds: Int64?
        package let groups: [Group]
    }

    package func stats() async throws -> Stats {
        let answer = try await run(QueueAdminScripts.stats, keys: [queue.streamKey, queue.deadKey], [])
        guard let rows = answer.array, rows.count >= 3, let events = rows[0].int, let dead = rows[1].int else {
            throw QueueError(.protocolBroken, "\(queue): Redis answered a script in an unknown way")
        }
        let oldest = rows[2].string.flatMap { Int64($0.prefix { $0 != "-" }) }
        return Stats(
            events: Int(events), dead: Int(dead), oldestMilliseconds: oldest,
            groups: rows.dropFirst(3).compactMap { $0.array.flatMap(Stats.Group.init) })
    }

    // MARK: repairing

    /// Sends dead letters round again, each to the group that gave it up, with all its attempts.
    ///
    /// - Returns: how many of them there were.
    package func redrive(_ ids: [String]) async throws -> Int {
        let answer = try await run(
            QueueAdminScripts.redrive, keys: [queue.streamKey, queue.deadKey], ids.map { .text($0) })
        return Int(answer.int ?? 0)
    }

    /// Throws the dead letters away; how many.
    package func purgeDead() async throws -> Int {
        let answers = try await explaining { () throws(RedisError) in
            .array(try await redis.transaction([["XLEN", .text(queue.deadKey)], ["DEL", .text(queue.deadKey)]]))
        }
        return Int(answers.array?.first?.int ?? 0)
    }

    /// Takes a group away, and what it had not finished; false when there is none of that name.
    package func removeGroup(_ name: String) async throws -> Bool {
        let group = try QueueGroup(queue, name)
        do {
            let answer = try await explaining { () throws(RedisError) in
                try await redis.send("XGROUP", "DESTROY", .text(queue.streamKey), .text(name))
            }
            try await redis.send([
                "DEL", .text(group.dueKey), .text(group.failuresKey), .text(group.wokenKey),
            ])
            return answer.int == 1
        } catch let error as RedisError where error.message.contains("requires the key to exist") {
            return false
        }
    }

    /// Throws the queue away, with its groups and dead letters; how many events it had.
    package func purge() async throws -> Int {
        let stats = try await stats()
        for group in stats.groups { _ = try await removeGroup(group.name) }
        try await redis.send([
            "DEL", .text(queue.streamKey), .text(queue.deadKey), .text(queue.nudgeKey), .text(queue.key("jobs")),
        ])
        try await redis.send("SREM", .text(QueueName.namesKey), .text(queue.text))
        return stats.events
    }
}

extension QueueAdmin {
    private func run(
        _ script: RedisScript, keys: [String], _ arguments: [RedisArgument]
    ) async throws -> RedisValue {
        try await explaining { () throws(RedisError) in
            try await redis.run(script, keys: keys, arguments: arguments)
        }
    }

    private func explaining(_ call: () async throws(RedisError) -> RedisValue) async throws -> RedisValue {
        do throws(RedisError) { return try await call() } catch { throw queue.explained(error) }
    }
}

extension QueueAdmin.Entry {
    fileprivate init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count == 2, let id = parts[0].string, let words = parts[1].array else {
            return nil
        }
        self.id = id
        var fields: [String: [UInt8]] = [:]
        for index in stride(from: 0, to: words.count - 1, by: 2) {
            if let name = words[index].string, case .bytes(let bytes) = words[index + 1] { fields[name] = bytes }
        }
        self.fields = fields
    }
}

extension QueueAdmin.Stats.Group {
    fileprivate init?(_ row: [RedisValue]) {
        guard row.count >= 2, let name = row[0].string, let new = row[1].int else { return nil }
        self.init(name: name)
        self.new = Int(new)
        for index in stride(from: 2, to: row.count - 1, by: 2) {
            let count = Int(row[index + 1].int ?? 0)
            switch row[index].string {
            case "held": held += count
            case "retry": retrying += count
            default:
                working += count
                workers += 1
            }
        }
    }
}
