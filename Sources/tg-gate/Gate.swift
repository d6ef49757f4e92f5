import Envelope
import JSON
import Logging
import Stage
import BotAPI

/// Decides who gets through, and what their words become.
struct Gate: Sendable {
    static let rawType = "events.telegram.raw"
    static let replyType = "commands.telegram.reply"

    let runtime: Runtime
    let admins: Set<Int64>
    let table: CommandTable
    let rules: AccessRules
    let published: [TopicPattern]

    func decide(_ events: [Envelope]) async throws -> [Decision] {
        var decisions: [Decision] = []
        for event in events {
            decisions.append(try await Correlation.$current.withValue(Correlation(event)) { try await decide(event) })
        }
        return decisions
    }

    private func decide(_ event: Envelope) async throws -> Decision {
        guard let update = Update(event.payload) else {
            return .refuse(MalformedInput(.invalidPayload, "\(Gate.rawType): the payload is no update"))
        }
        let seen = update.describedUsers
        if !seen.isEmpty { try await rules.remember(seen) }
        if update.isNewMessage, let migration = update.message?.migration {
            try await rules.move(from: migration.from, to: migration.to)
        }
        let standing = try await rules.standing(actor: update.actor?.id, chat: update.chatID)
        let access = access(of: update.actor, standing)
        let command = command(in: update, bot: event.meta["bot"]?["username"]?.string)
        if let command, command.word == ".whoami", let message = update.message {
            return .replace(try await withinMeasure([whoami(message, access, standing)], to: update.actor))
        }
        guard case .granted(let role) = access else { return denied(update, access, command) }
        var results = try await withinMeasure(results(of: command, update, role), to: update.actor)
        if publishes(Gate.rawType) { results.append(admitted(event, update, role)) }
        return .replace(results)
    }

    /// What the writer orders: not by editing a message, nor by passing on what somebody else wrote.
    private func command(in update: Update, bot: String?) -> WrittenCommand? {
        guard update.isNewMessage, let message = update.message, !message.isForwarded else { return nil }
        return message.text.flatMap { WrittenCommand($0, bot: bot) }
    }

    /// Without answers beyond a measure: nobody but an admin may have the bot fill a chat.
    private func withinMeasure(_ results: [Envelope], to actor: Party?) async throws -> [Envelope] {
        if let actor, admins.contains(actor.id) { return results }
        var kept: [Envelope] = []
        for result in results {
            if result.type == Gate.replyType, try await !rules.mayAnswer(actor?.id) { continue }
            kept.append(result)
        }
        return kept
    }

    private func access(of actor: Party?, _ standing: Standing) -> Access {
        guard let actor else { return .denied("nobody is named as its cause") }
        if admins.contains(actor.id) { return .granted(.admin) }
        if standing.hammered.holds { return .denied("hammered") }
        if standing.smitten.holds { return .denied("the chat is smitten") }
        if standing.blessed.holds { return .granted(.blessed) }
        if standing.graced.holds { return .granted(.graced) }
        return .denied("neither blessed nor in a graced chat")
    }

    /// What an allowed command becomes; nothing for other messages.
    private func results(of command: WrittenCommand?, _ update: Update, _ role: Role) async throws -> [Envelope] {
        guard let command, let message = update.message else { return [] }
        if AccessCommand.isOne(command.word) { return try await change(command, message, update, role) }
        guard let type = table.type(of: command.word), publishes(type) else { return [] }
        var payload = MediaSource.payload(of: message, command)
        if type.hasPrefix("commands.media.") {
            guard payload != nil else {
                return [
                    reply(
                        "Usage: \(command.word) <url>, or answer a message that has a URL or a file with \(command.word)",
                        message)
                ]
            }
        } else {
            payload = payload ?? [:]
            payload?["text"] = .string(command.arguments.joined(separator: " "))
        }
        return [derived(type, payload ?? [:], update, message, role)]
    }

    private func derived(_ type: String, _ payload: JSONObject, _ update: Update, _ message: Message, _ role: Role)
        -> Envelope
    {
        var envelope = Envelope.derived(type: type, payload: payload)
        attach(update, role, to: &envelope.meta)
        runtime.log.info("\(type)", metadata: ["actor": "\(update.actor?.id ?? 0)", "role": "\(role.rawValue)"])
        return envelope
    }

    private func admitted(_ event: Envelope, _ update: Update, _ role: Role) -> Envelope {
        var event = event
        attach(update, role, to: &event.meta)
        return event
    }

    private func attach(_ update: Update, _ role: Role, to meta: inout JSONObject) {
        meta["actor"] = update.actor?.json
        meta["role"] = .string(role.rawValue)
        meta["origin"] = update.message?.origin
    }

    private func denied(_ update: Update, _ access: Access, _ command: WrittenCommand?) -> Decision {
        guard case .denied(let reason) = access else { return .drop }
        let isCommand = command.map { table.type(of: $0.word) != nil || AccessCommand.isOne($0.word) } ?? false
        runtime.log.log(
            level: isCommand ? .info : .debug, "denied: \(reason)",
            metadata: ["actor": "\(update.actor?.id ?? 0)", "chat": "\(update.chatID ?? 0)"])
        guard publishes("events.access.denied") else { return .drop }
        let payload: JSONObject = [
            "reason": .string(reason), "user_id": (update.actor?.id).map { .integer($0) },
            "chat_id": update.chatID.map { .integer($0) }, "text": (update.message?.text).map { .string($0) },
        ]
        return .replace([.derived(type: "events.access.denied", payload: payload)])
    }

    func publishes(_ type: String) -> Bool { published.contains { $0.matches(type) } }

    /// An answer in the chat; published whatever is subscribed, as it is the gate's own work.
    func reply(_ text: String, _ message: Message) -> Envelope {
        var envelope = Envelope.derived(type: Gate.replyType, payload: ["text": .string(text)])
        envelope.meta["origin"] = message.origin
        return envelope
    }
}

/// Why somebody is let through.
enum Role: String, Sendable {
    case admin, blessed, graced
}

enum Access: Sendable {
    case granted(Role)
    case denied(String)
}
