import BotAPI
import ChatCommands
import JSON
import Payloads
import Redis
import Stage
import Texts

extension AccessRule {
    /// The Redis key of this rule for a user or a chat.
    fileprivate func key(_ subject: Int64) -> String { "tgpipe:{access}:\(rawValue):\(subject)" }
}

/// Tells whether a rule holds, and for how much longer.
enum Term: Sendable {
    case absent
    case forever
    case left(Duration)

    var holds: Bool {
        if case .absent = self { false } else { true }
    }

    /// Returns the words behind one such as "blessed": none, or ` until DATE TIME UTC`.
    func suffix(_ words: GateWords) -> TextValue {
        guard case .left(let duration) = self else { return .raw("") }
        let end = (Timestamp.now + duration).description
        let time = "\(end.prefix(10)) \(end.dropFirst(11).prefix(5)) UTC"
        return .raw(words("access_until", ["time": .text(time)]))
    }
}

/// Holds the rules that apply to one actor in one chat.
struct Standing: Sendable {
    let hammered: Term
    let blessed: Term
    let graced: Term
    let smitten: Term
    /// The language that the actor has chosen, if any.
    var language: String?
    /// The form in which the actor prefers media.
    var preferences = MediaPreferences.none
}

/// Reads and changes the access rules, and the user names that were seen, in Redis.
struct AccessRules: Sendable {
    /// The time, in seconds, for which a user name means the user who was seen with it: names change hands.
    private static let seenSeconds: Int64 = 86_400
    /// The number of replies that the gate sends one person within a minute: more than anybody needs, and too few to fill a chat.
    private static let repliesPerMinute: Int64 = 10

    /// Notes the people and the migration of one event, then answers how long each rule still holds, in ms (-2: not, -1: for ever).
    ///
    /// A user name moves to the user who shows it now: names change hands. A migrated chat's rules move to its new id with the time
    /// that they have left; rules of the new id stay as they are.
    /// Keys: 4 rules, and the bans of the actor's other ids; for each person the keys of the id and of the name; for each moved rule the old and the new key;
    /// last, the language that the actor has chosen, which is the last value of the answer.
    /// Arguments: the number of rules, the number of people and the lifetime of names in seconds; for each person the id and the
    /// name, which may be empty.
    private static let admit = RedisScript(
        """
        local rules, people, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
        for i = 1, people do
            local user, username = KEYS[rules - 1 + 2 * i], KEYS[rules + 2 * i]
            local id, name = ARGV[2 + 2 * i], ARGV[3 + 2 * i]
            local old = redis.call('GET', user)
            if old and old ~= name and redis.call('GET', 'tgpipe:{access}:username:' .. old) == id then
                redis.call('DEL', 'tgpipe:{access}:username:' .. old)
            end
            if name == '' then
                redis.call('DEL', user)
            else
                redis.call('SET', user, name, 'EX', ttl)
                redis.call('SET', username, id, 'EX', ttl)
            end
        end
        for i = rules + 1 + 2 * people, #KEYS - 2, 2 do
            if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAMENX', KEYS[i], KEYS[i + 1]) end
        end
        local left = {}
        for i = 1, rules do left[i] = redis.call('PTTL', KEYS[i]) end
        left[rules + 1] = redis.call('GET', KEYS[#KEYS - 1])
        left[rules + 2] = redis.call('GET', KEYS[#KEYS])
        return left
        """)

    private let runtime: Runtime

    init(runtime: Runtime) { self.runtime = runtime }

    /// Describes what one event shows, and whose rules apply to it.
    struct Visit: Sendable {
        var actor: Int64?
        /// All ids under which the actor appears: a ban of any of them holds.
        var appearances: [Int64] = []
        var chat: Int64?
        /// The people whose user names the event shows.
        var seen: [Party] = []
        /// The old and the new id of a group that has become a supergroup.
        var migration: (from: Int64, to: Int64)?

        /// Returns whether another visit sends the same to Redis, and moves no rules. It compares bytes: texts with other bytes may be equal in
        /// Swift.
        fileprivate func isSame(as other: Visit) -> Bool {
            actor == other.actor && chat == other.chat && migration == nil && other.migration == nil
                && appearances == other.appearances
                && seen.elementsEqual(other.seen) { own, other in
                    own.id == other.id && (own.username ?? "").utf8.elementsEqual((other.username ?? "").utf8)
                }
        }
    }

    /// Notes what events show, and returns the rules that apply to each: in one round trip, each event after the one before it.
    ///
    /// Events of one person in one chat are asked about once; see `Visits`.
    func admit(_ visits: [Visit]) async throws -> [Standing] {
        guard !visits.isEmpty else { return [] }
        let visits = Visits(visits)
        let calls = visits.distinct.map(AccessRules.call)
        let standings = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            var standings: [Standing] = []
            for reply in try await redis.run(AccessRules.admit, calls) {
                standings.append(try AccessRules.standing(try redis.checked(reply)))
            }
            return standings
        }
        return visits.placeOfVisit.map { standings[$0] }
    }

    /// Holds the visits of a batch, those that show the same only once.
    ///
    /// A second visit of the same form changes nothing more in Redis. The exception is a visit between the two that shows the same name with
    /// another person, or that moves rules. A batch with such a visit keeps all of its visits.
    struct Visits {
        private(set) var distinct: [Visit] = []
        /// For each visit, its place in `distinct`.
        private(set) var placeOfVisit: [Int] = []

        init(_ visits: [Visit]) {
            var places: [Form: Int] = [:]
            var names: [Int64: [UInt8]] = [:]
            var owners: [[UInt8]: Int64] = [:]
            var last: Visit?
            for visit in visits {
                // Events of one person mostly come one after another.
                if let last, let place = placeOfVisit.last, last.isSame(as: visit) {
                    placeOfVisit.append(place)
                    continue
                }
                last = visit
                let form = Form(visit)
                for person in form.seen {
                    let isSame = (names[person.id] ?? person.name) == person.name
                    let isOwner = person.name.isEmpty || (owners[person.name] ?? person.id) == person.id
                    guard isSame, isOwner else {
                        keepAll(visits)
                        return
                    }
                    names[person.id] = person.name
                    if !person.name.isEmpty { owners[person.name] = person.id }
                }
                guard visit.migration == nil else {
                    keepAll(visits)
                    return
                }
                let place = places[form] ?? distinct.count
                if place == distinct.count {
                    places[form] = place
                    distinct.append(visit)
                }
                placeOfVisit.append(place)
            }
        }

        private mutating func keepAll(_ visits: [Visit]) {
            (distinct, placeOfVisit) = (visits, Array(visits.indices))
        }

        /// Holds all that a visit sends to Redis.
        private struct Form: Hashable {
            struct Person: Hashable {
                let id: Int64
                /// The bytes that Redis keeps; empty for none. Texts with other bytes may be equal in Swift.
                let name: [UInt8]
            }

            let actor: Int64?
            let appearances: [Int64]
            let chat: Int64?
            let seen: [Person]

            init(_ visit: Visit) {
                (actor, appearances, chat) = (visit.actor, visit.appearances, visit.chat)
                seen = visit.seen.map { Person(id: $0.id, name: Array(($0.username?.lowercased() ?? "").utf8)) }
            }
        }
    }

    private static func call(_ visit: Visit) -> ScriptCall {
        let rules = [
            visit.actor.map(AccessRule.hammer.key), visit.actor.map(AccessRule.bless.key),
            visit.chat.map(AccessRule.grace.key),
            visit.chat.map(AccessRule.smite.key),
        ]
        var keys = rules.map { $0 ?? "tgpipe:{access}:nobody" }
        keys += visit.appearances.filter { $0 != visit.actor }.map(AccessRule.hammer.key)
        var arguments: [RedisArgument] = [
            .integer(Int64(keys.count)), .integer(Int64(visit.seen.count)), .integer(seenSeconds),
        ]
        for party in visit.seen {
            let name = party.username?.lowercased() ?? ""
            keys += ["tgpipe:{access}:user:\(party.id)", "tgpipe:{access}:username:\(name)"]
            arguments += [.integer(party.id), .text(name)]
        }
        if let (old, new) = visit.migration {
            for rule in [AccessRule.grace, .smite] { keys += [rule.key(old), rule.key(new)] }
        }
        keys += [
            UserSettings.languageKey(of: visit.actor ?? 0), UserSettings.preferencesKey(of: visit.actor ?? 0),
        ]
        return ScriptCall(keys: keys, arguments: arguments)
    }

    private static func standing(_ reply: RedisValue) throws(RedisError) -> Standing {
        let settings = (reply.array ?? []).suffix(2).map(\.string)
        let terms = (reply.array ?? []).compactMap { value -> Term? in
            guard case .integer(let milliseconds) = value else { return nil }
            return switch milliseconds {
            case -2: .absent
            case -1: .forever
            default: .left(.milliseconds(milliseconds))
            }
        }
        guard terms.count >= 4, settings.count == 2 else {
            throw RedisError(.protocolError, "Redis did not tell how long the access rules still hold")
        }
        let hammered = ([terms[0]] + terms[4...]).first(where: \.holds) ?? .absent
        return Standing(
            hammered: hammered, blessed: terms[1], graced: terms[2], smitten: terms[3],
            language: settings[0], preferences: MediaPreferences(stored: settings[1]))
    }

    /// Sets a rule.
    ///
    /// - Parameter lasting: the time for which it holds; nil for ever.
    func set(_ rule: AccessRule, _ subject: Int64, by actor: Int64, lasting: Duration?) async throws {
        let note = JSON.object(["by": .integer(actor), "at": .string(Timestamp.now.description)]).text
        var command: [RedisArgument] = ["SET", .text(rule.key(subject)), .text(note)]
        if let lasting { command += ["PX", .integer(lasting.milliseconds)] }
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in try await redis.send(command) }
    }

    /// Removes a rule.
    ///
    /// - Returns: whether the rule held.
    func remove(_ rule: AccessRule, _ subject: Int64) async throws -> Bool {
        try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("DEL", .text(rule.key(subject))).int == 1
        }
    }

    /// Counts replies to actors, in one round trip and in order.
    ///
    /// - Parameter actors: the receiver of each reply; nil where the sender is unknown, who is limited like one person.
    /// - Returns: for each reply, whether it is within its receiver's limit for this minute.
    func countReplies(to actors: [Int64?]) async throws -> [Bool] {
        guard !actors.isEmpty else { return [] }
        let commands = actors.flatMap { actor -> [[RedisArgument]] in
            let key = RedisArgument.text("tgpipe:{access}:answers:\(actor ?? 0)")
            return [["SET", key, "0", "NX", "EX", "60"], ["INCR", key]]
        }
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let replies = try await redis.transaction(commands)
            var isWithinLimit: [Bool] = []
            for index in stride(from: 1, to: replies.count, by: 2) {
                isWithinLimit.append(try redis.checked(replies[index]).int ?? 0 <= AccessRules.repliesPerMinute)
            }
            return isWithinLimit
        }
    }

    /// Returns the id of the user who was last seen with a user name; nil if nobody was.
    func userID(named name: String) async throws -> Int64? {
        try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("GET", .text("tgpipe:{access}:username:\(name.lowercased())")).int
        }
    }
}
