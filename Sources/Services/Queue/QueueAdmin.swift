import JSON
package import Redis

/// Serves the administration of a queue: submits jobs, shows entries and counts, redrives dead letters, purges.
package struct QueueAdmin: Sendable {
    package let queue: QueueName
    private let redis: Redis

    package init(_ queue: QueueName, redis: Redis) {
        self.queue = queue
        self.redis = redis
    }

    /// Returns all queues in the order of their names: those that tgpipe has used, and those that other programs made with XADD.
    package static func all(_ redis: Redis) async throws -> [QueueName] {
        let known = try await redis.send("SMEMBERS", .text(QueueName.namesKey)).array ?? []
        var names = Set(known.compactMap { name in name.string.flatMap { try? QueueName($0) } })
        var cursor = "0"
        repeat {
            // All queues have one hash tag, so one node of a cluster has them all.
            let page = try await redis.send(
                ["SCAN", .text(cursor), "MATCH", .text(QueueName.anyStreamKey), "COUNT", 1000], near: QueueName.namesKey
            ).array
            let keys = page?.last?.array ?? []
            names.formUnion(keys.compactMap { $0.string.flatMap(QueueName.init(streamKey:)) })
            cursor = page?.first?.string ?? "0"
        } while cursor != "0"
        return names.sorted { $0.text < $1.text }
    }

    /// Is true if there is such a queue: tgpipe has used it, or another program has put an entry into it.
    package var exists: Bool {
        get async throws {
            let answer = try await explaining { () throws(RedisError) in
                .array(
                    try await redis.pipeline([
                        ["SISMEMBER", .text(QueueName.namesKey), .text(queue.text)],
                        ["EXISTS", .text(queue.streamKey), .text(queue.deadKey)],
                    ]))
            }
            return answer.array?.contains { $0.int ?? 0 > 0 } ?? false
        }
    }

    /// Is true if there is, or has been, an entry in the queue.
    package var wasUsed: Bool {
        get async throws {
            let answer: RedisValue
            do throws(RedisError) { answer = try await redis.send("XINFO", "STREAM", .text(queue.streamKey)) } catch {
                // The queue has a name, but no stream yet.
                if error.message.contains("no such key") { return false }
                throw queue.explained(error)
            }
            let words = answer.array ?? []
            let place = words.firstIndex { $0.string == "last-generated-id" }
            return place.map { $0 + 1 < words.count && words[$0 + 1].string != "0-0" } ?? false
        }
    }

    // MARK: Submitting

    package struct Job: Sendable {
        package let id: String
        /// The line without its line feed.
        package let line: [UInt8]

        package init(id: String, line: [UInt8]) {
            self.id = id
            self.line = line
        }
    }

    /// Identifies one submission; a repetition uses the same.
    package struct Submission: Sendable {
        let now: Timestamp
        let until: Timestamp

        /// - Parameter window: the time for which its jobs are remembered.
        package init(window: Duration) {
            now = .now
            until = now + window
        }
    }

    /// Publishes jobs, each at most once within the submission's window.
    ///
    /// - Returns: the indices of jobs that had been submitted before; nil if the queue is full.
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

    // MARK: Looking

    package struct Entry: Sendable {
        package let id: String
        /// The fields by name; `e` is the line.
        package let fields: [String: [UInt8]]

        package var line: [UInt8] { fields["e"] ?? [] }
        package func text(_ name: String) -> String? { fields[name].map { String(decoding: $0, as: UTF8.self) } }
        /// The time of the entry's arrival, in ms since 1970.
        package var milliseconds: Int64 { Int64(id.prefix { $0 != "-" }) ?? 0 }
    }

    /// Returns entries, the oldest first.
    ///
    /// - Parameter id: the entry behind which to start; nil for the first.
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

    /// Describes an entry that a group has taken and not finished.
    package struct Pending: Sendable {
        package enum State: String, Sendable { case working, retrying, held, behind }

        package let entry: Entry
        package let state: State
        package let worker: String?
        package let attempts: Int
        /// The end of the lease, or the time of the next attempt; ms since 1970.
        package let dueMilliseconds: Int64?
        package let lastFailure: String?
    }

    /// Returns the entries that a group has taken and not finished.
    ///
    /// - Throws: `QueueError`, `noGroup`.
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
            let state = Pending.State(consumer: consumer)
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
            /// The number of entries that no worker has taken.
            package var new = 0
            package var working = 0
            package var retrying = 0
            package var held = 0
            /// The number of entries that wait for earlier ones with the same key.
            package var behind = 0
            /// The number of workers that have an entry.
            package var workers = 0
            /// The service that is away, and that the workers wait for.
            package fileprivate(set) var awaitedService: String?

            /// The number of entries that are not acknowledged.
            package var open: Int { new + working + retrying + held + behind }
        }

        /// The number of events that some group has not acknowledged; all events, while there is no group.
        package let events: Int
        package let dead: Int
        package let oldestMilliseconds: Int64?
        package let groups: [Group]
    }

    package func stats() async throws -> Stats {
        let answer = try await run(QueueAdminScripts.stats, keys: [queue.streamKey, queue.deadKey], [])
        guard let rows = answer.array, rows.count >= 3, let events = rows[0].int, let dead = rows[1].int else {
            throw QueueError(.protocolBroken, "\(queue): Redis returned an unexpected answer to a script")
        }
        let oldest = rows[2].string.flatMap { Int64($0.prefix { $0 != "-" }) }
        var groups = rows.dropFirst(3).compactMap { $0.array.flatMap(Stats.Group.init) }
        for index in groups.indices {
            guard let group = try? QueueGroup(queue, groups[index].name) else { continue }
            groups[index].awaitedService = try await redis.send("GET", .text(group.awayKey)).string
        }
        return Stats(events: Int(events), dead: Int(dead), oldestMilliseconds: oldest, groups: groups)
    }

    // MARK: Repairing

    /// Redrives dead letters, each for the group that gave it up, with a full number of attempts.
    ///
    /// - Returns: the number of dead letters found.
    package func redrive(_ ids: [String]) async throws -> Int {
        let answer = try await run(
            QueueAdminScripts.redrive, keys: [queue.streamKey, queue.deadKey], ids.map { .text($0) })
        return Int(answer.int ?? 0)
    }

    /// Deletes the dead letters and returns their number.
    package func purgeDead() async throws -> Int {
        let answers = try await explaining { () throws(RedisError) in
            .array(try await redis.transaction([["XLEN", .text(queue.deadKey)], ["DEL", .text(queue.deadKey)]]))
        }
        return Int(answers.array?.first?.int ?? 0)
    }

    /// Deletes a group with its unfinished entries; returns false if there is no group of that name.
    package func removeGroup(_ name: String) async throws -> Bool {
        let group = try QueueGroup(queue, name)
        let answer = try await run(
            QueueAdminScripts.removeGroup,
            keys: [
                queue.streamKey, group.dueKey, group.failuresKey, group.wokenKey, group.awayKey, group.chainsKey,
                group.entryKeysKey, group.inboxesKey,
            ], [.text(name)])
        return answer.int == 1
    }

    /// Deletes the queue with its groups and dead letters, and returns the number of its events.
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

extension QueueAdmin.Pending.State {
    /// - Parameter consumer: the consumer in Redis: a worker, or a placeholder.
    fileprivate init(consumer: String) {
        switch consumer {
        case "held": self = .held
        case "retry": self = .retrying
        case "behind": self = .behind
        default: self = .working
        }
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
            case "behind": behind += count
            default:
                working += count
                workers += 1
            }
        }
    }
}
