import ChatCommands
import Envelope
import JSON
import Payloads
import Redis
import Stage
import System

/// One form that a person can choose.
struct ChoiceOption: Sendable, Equatable {
    let form: PendingChoice.Form
    /// The words on the button.
    let label: String
}

/// A question that waits for its answer.
struct PendingChoice: Sendable, Equatable {
    let bond: ChoiceKey.Bond
    /// The first one is taken without an answer.
    let forms: [Form]
    /// The name under which the request can be woken.
    let waiter: String

    /// The form that an option stands for.
    struct Form: Sendable, Equatable {
        let kind: MediaKind
        let variant: MediaVariant
        /// Is true for a file to keep, which Telegram does not play.
        var isFile = false
    }

    var json: JSONObject {
        [
            "user": .integer(bond.user), "chat": .integer(bond.chat), "message": .integer(bond.message),
            "expires": .integer(bond.expires), "waiter": .string(waiter),
            "forms": .array(
                forms.map {
                    .object([
                        "kind": .string($0.kind.rawValue), "variant": $0.variant.json,
                        "as_file": $0.isFile ? true : nil,
                    ])
                }),
        ]
    }

    init(_ bond: ChoiceKey.Bond, _ forms: [Form], waiter: String) {
        (self.bond, self.forms, self.waiter) = (bond, forms, waiter)
    }

    init?(_ request: EventID, _ text: String) {
        guard let json = try? JSON(parsing: text), let user = json["user"]?.int, let chat = json["chat"]?.int,
            let message = json["message"]?.int, let expires = json["expires"]?.int,
            let waiter = json["waiter"]?.string
        else { return nil }
        bond = ChoiceKey.Bond(request: request, user: user, chat: chat, message: message, expires: expires)
        self.waiter = waiter
        forms = (json["forms"]?.array ?? []).compactMap { form in
            guard let kind = form["kind"]?.string.flatMap(MediaKind.init), let variant = MediaVariant(form["variant"])
            else { return nil }
            return Form(kind: kind, variant: variant, isFile: form["as_file"] == true)
        }
        guard !forms.isEmpty else { return nil }
    }
}

/// Keeps the questions and the answers in Redis, so that a restart loses neither.
struct PendingChoices: Sendable {
    /// The time for which an answered or expired question is remembered, in seconds, so that a late press is told why.
    private static let rememberedFor: Int64 = 3600

    let runtime: Runtime
    let key: ChoiceKey

    private func name(_ request: EventID, _ part: String) -> RedisArgument {
        .text("tgpipe:{choice:\(request)}:\(part)")
    }

    /// Returns the question of a request; nil if there is none, or it is forgotten.
    func question(_ request: EventID) async throws -> PendingChoice? {
        let text = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("GET", name(request, "question")).string
        }
        return text.flatMap { PendingChoice(request, $0) }
    }

    /// - Parameter isByNumber: whether a number is the answer, so that the question must be found by the chat.
    func ask(_ choice: PendingChoice, isByNumber: Bool = false) async throws {
        let (bond, lifetime) = (choice.bond, PendingChoices.rememberedFor)
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send(
                "SET", name(bond.request, "question"), .text(JSON.object(choice.json).text), "EX",
                .integer(lifetime))
        }
        guard isByNumber else { return }
        let seconds = max(1, bond.expires - Timestamp.now.microseconds / 1_000_000 + 1)
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send(
                "SET", PendingChoices.openKey(bond.user, bond.chat), .text(bond.request.description), "EX",
                .integer(seconds))
        }
    }

    private static func openKey(_ user: Int64, _ chat: Int64) -> RedisArgument {
        .text("tgpipe:{choice}:open:\(chat):\(user)")
    }

    /// Returns the request that a user was asked about last in a chat, as long as its time is not over.
    func open(user: Int64, chat: Int64) async throws -> EventID? {
        try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("GET", PendingChoices.openKey(user, chat)).string
        }.flatMap { EventID($0) }
    }

    /// Represents an answer, and the event that it comes from.
    struct Answer: Sendable, Equatable {
        let option: Int
        /// Empty if an earlier version has stored the answer.
        let source: String
    }

    /// Gives a request its answer, unless it has one.
    ///
    /// - Parameter source: names the event that brings the answer. The call may be carried out twice: Redis can store an answer whose
    ///   confirmation by its replicas is lost.
    /// - Returns: the answer that counts, and whether it is that of the source.
    func answer(_ request: EventID, _ option: Int, by source: String) async throws -> (option: Int, isOwn: Bool) {
        // An earlier version reads the option, too, and knows nothing of its source.
        let (key, sourceKey) = (name(request, "answer"), name(request, "answered_by"))
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let replies = try await redis.transaction([
                ["SET", key, .text("\(option)"), "NX", "EX", .integer(PendingChoices.rememberedFor)],
                ["SET", sourceKey, .text(source), "NX", "EX", .integer(PendingChoices.rememberedFor)],
                ["GET", key], ["GET", sourceKey],
            ])
            guard replies.count == 4 else { throw RedisError(.protocolError, "Redis did not answer a transaction") }
            for reply in replies { _ = try redis.checked(reply) }
            let stored = replies[2].string.flatMap { Int($0) } ?? option
            return (stored, stored == option && replies[3].string == source)
        }
    }

    /// Returns the answer of a request; nil if there is none yet.
    func answer(of request: EventID) async throws -> Answer? {
        let (key, sourceKey) = (name(request, "answer"), name(request, "answered_by"))
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            guard let option = try await redis.send("GET", key).string.flatMap({ Int($0) }) else { return nil }
            return Answer(option: option, source: try await redis.send("GET", sourceKey).string ?? "")
        }
    }

    /// Returns the form that a person prefers.
    func preferences(of user: Int64) async throws -> MediaPreferences {
        MediaPreferences(
            stored: try await runtime.untilRedisAnswers { redis throws(RedisError) in
                try await redis.send("GET", .text(UserSettings.preferencesKey(of: user))).string
            })
    }

    /// Returns whether a person or a group has chosen to be asked, or not to be asked; nil without a choice. A group's choice
    /// counts in the group.
    func wantsQuestions(user: Int64, chat: Int64) async throws -> Bool? {
        let keys = (chat == user ? [user] : [chat, user]).map { RedisArgument.text(UserSettings.askKey(of: $0)) }
        for key in keys {
            let value = try await runtime.untilRedisAnswers { redis throws(RedisError) in
                try await redis.send("GET", key).string
            }
            if let value { return value == "1" }
        }
        return nil
    }
}
