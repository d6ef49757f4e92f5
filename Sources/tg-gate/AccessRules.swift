import JSON
import Redis
import Stage
import BotAPI

/// What a rule is about, as its Redis key says.
enum Rule: String, Sendable {
    case bless, hammer, grace, smite

    func key(_ subject: Int64) -> String { "tgpipe:{access}:\(rawValue):\(subject)" }
}

/// Whether a rule holds, and how long yet.
enum Term: Sendable {
    case absent
    case forever
    case left(Duration)

    var holds: Bool {
        if case .absent = self { false } else { true }
    }

    /// Behind a word such as "blessed": nothing, or until when.
    var suffix: String {
        guard case .left(let duration) = self else { return "" }
        let end = (Timestamp.now + duration).description
        return " until \(end.prefix(10)) \(end.dropFirst(11).prefix(5)) UTC"
    }
}

/// Where one actor stands in one chat.
struct Standing: Sendable {
    let hammered: Term
    let blessed: Term
    let graced: Term
    let smitten: Term
}

/// The access rules, and the user names that were seen, in Redis.
struct AccessRules: Sendable {
    private static let seenSeconds: Int64 = 90 * 86_400
    /// Answers that the gate gives one person within a minute: more than anybody needs, and less than fills a chat.
    private static let answersAMinute: Int64 = 10

    /// Moves a name to the user who shows it now: names change hands.
    private static let remember = RedisScript(
        """
        local id, name, ttl = ARGV[1], ARGV[2], ARGV[3]
        local old = redis.call('GET', KEYS[1])
        if old and old ~= name and redis.call('GET', 'tgpipe:{access}:username:' .. old) == id then
            redis.call('DEL', 'tgpipe:{access}:username:' .. old)
        end
        if name == '' then
            redis.call('DEL', KEYS[1])
        else
            redis.call('SET', KEYS[1], name, 'EX', ttl)
            redis.call('SET', KEYS[2], id, 'EX', ttl)
        end
        return 1
        """)

    private let runtime: Runtime

    init(runtime: Runtime) { self.runtime = runtime }

    func remember(_ parties: [Party]) async throws {
        let calls = parties.map { party in
            let name = party.username?.lowercased() ?? ""
            return ScriptCall(
                keys: ["tgpipe:{access}:user:\(party.id)", "tgpipe:{access}:username:\(name)"],
                arguments: [.integer(party.id), .text(name), .integer(AccessRules.seenSeconds)])
        }
        try await runtime.patiently { redis throws(RedisError) in
            for case .error(let text) in try await redis.run(AccessRules.remember, calls) {
                throw RedisError(.server, text)
            }
        }
    }

    /// The rules that hold for an actor, a chat, and the two together.
    func standing(actor: Int64?, chat: Int64?) async throws -> Standing {
        let keys = [
            actor.map(Rule.hammer.key), actor.map(Rule.bless.key), chat.map(Rule.grace.key), chat.map(Rule.smite.key),
        ]
        let replies = try await runtime.patiently { redis throws(RedisError) in
            try await redis.pipeline(keys.map { ["PTTL", .text($0 ?? "tgpipe:{access}:nobody")] })
        }
        let left = try replies.map(AccessRules.remaining)
        return Standing(hammered: left[0], blessed: left[1], graced: left[2], smitten: left[3])
    }

    private static func remaining(_ reply: RedisValue) throws -> Term {
        guard let milliseconds = reply.int, case .integer = reply else {
            throw RedisError(.server, "Redis did not tell the time that a rule has left")
        }
        return switch milliseconds {
        case -2: .absent
        case -1: .forever
        default: .left(.milliseconds(milliseconds))
        }
    }

    /// - Parameter lasting: nil for ever.
    func set(_ rule: Rule, _ subject: Int64, by actor: Int64, lasting: Duration?) async throws {
        let note = JSON.object(["by": .integer(actor), "at": .string(Timestamp.now.description)]).text
        var command: [RedisArgument] = ["SET", .text(rule.key(subject)), .text(note)]
        if let lasting { command += ["PX", .integer(lasting.milliseconds)] }
        _ = try await runtime.patiently { redis throws(RedisError) in try await redis.send(command) }
    }

    /// A chat's rules under its new id, each with the time that it has left; what has been said of the new one already stays.
    private static let move = RedisScript(
        """
        for i = 1, #KEYS, 2 do
            if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAMENX', KEYS[i], KEYS[i + 1]) end
        end
        return 1
        """)

    /// Takes the rules of a group that has become a supergroup to its new id.
    func move(from old: Int64, to new: Int64) async throws {
        let keys = [Rule.grace, .smite].flatMap { [$0.key(old), $0.key(new)] }
        try await runtime.patiently { redis throws(RedisError) in
            _ = try await redis.run(AccessRules.move, keys: keys, arguments: [])
        }
    }

    /// - Returns: whether it held.
    func remove(_ rule: Rule, _ subject: Int64) async throws -> Bool {
        try await runtime.patiently { redis throws(RedisError) in
            try await redis.send("DEL", .text(rule.key(subject))).int == 1
        }
    }

    /// Counts an answer to somebody; false when they have had enough for this minute.
    func mayAnswer(_ actor: Int64?) async throws -> Bool {
        let key = RedisArgument.text("tgpipe:{access}:answers:\(actor ?? 0)")
        return try await runtime.patiently { redis throws(RedisError) in
            let replies = try await redis.transaction([["SET", key, "0", "NX", "EX", "60"], ["INCR", key]])
            return replies.last?.int ?? 0 <= AccessRules.answersAMinute
        }
    }

    func userID(named name: String) async throws -> Int64? {
        try await runtime.patiently { redis throws(RedisError) in
            try await redis.send("GET", .text("tgpipe:{access}:username:\(name.lowercased())")).int
        }
    }
}
