import Envelope
import JSON
import BotAPI
import Logging
import Stage

extension Gate {
    /// Carries out an access command: a reaction when it is done, a line when it is not.
    func change(
        _ written: WrittenCommand, _ message: Message, _ update: Update, _ role: Role
    ) async throws -> [Envelope] {
        guard role == .admin, let actor = update.actor else {
            return [reply("Only the admin may do that.", message)]
        }
        let command: AccessCommand
        do { command = try AccessCommand(written, in: message) } catch { return [reply(error.text, message)] }
        guard let subject = try await subject(of: command, message) else {
            return [reply("I have not seen that user yet: answer one of their messages instead.", message)]
        }
        if command.rule == .hammer, command.sets, admins.contains(subject) {
            return [reply("An admin cannot be hammered.", message)]
        }
        if command.sets {
            try await rules.set(command.rule, subject, by: actor.id, lasting: command.lasting)
            // To grace a chat is to forgive it.
            if command.rule == .grace { _ = try await rules.remove(.smite, subject) }
        } else {
            guard try await rules.remove(command.rule, subject) else {
                return [reply("Nothing to take back: no such rule holds.", message)]
            }
        }
        runtime.log.notice(
            "access rule changed",
            metadata: ["rule": "\(command.rule.rawValue)", "subject": "\(subject)", "active": "\(command.sets)"])
        return acknowledgement(message) + changed(command, subject, actor)
    }

    private func subject(of command: AccessCommand, _ message: Message) async throws -> Int64? {
        switch command.subject {
        case .chat: message.chatID
        case .user(let id): id
        case .name(let name): try await rules.userID(named: name)
        }
    }

    private func acknowledgement(_ message: Message) -> [Envelope] {
        var envelope = Envelope.derived(type: "commands.telegram.react", payload: ["emoji": "👍"])
        envelope.meta["origin"] = message.origin
        return [envelope]
    }

    private func changed(_ command: AccessCommand, _ subject: Int64, _ actor: Party) -> [Envelope] {
        guard publishes("events.access.changed") else { return [] }
        let end = command.lasting.map { (Timestamp.now + $0).description }
        let payload: JSONObject = [
            "rule": .string(command.rule.rawValue), "subject_id": .integer(subject), "by": .integer(actor.id),
            "active": .bool(command.sets), "expires_at": end.map { .string($0) },
        ]
        return [.derived(type: "events.access.changed", payload: payload)]
    }

    /// Tells the writer where they stand, or the admin where the author of the message replied to stands.
    func whoami(_ message: Message, _ access: Access, _ standing: Standing) async throws -> Envelope {
        if case .granted(.admin) = access, let other = message.repliedTo?.author {
            let standing = try await rules.standing(actor: other.id, chat: message.chatID)
            return reply(describe(other, standing), message)
        }
        let writer = message.author ?? Party(id: message.chatID, username: nil, name: "This chat")
        return reply(describe(writer, standing), message)
    }

    private func describe(_ party: Party, _ standing: Standing) -> String {
        let status =
            admins.contains(party.id)
            ? "admin"
            : standing.hammered.holds
                ? "banned\(standing.hammered.suffix)"
                : standing.smitten.holds
                    ? "banned, as everybody in this chat"
                    : standing.blessed.holds
                        ? "blessed\(standing.blessed.suffix)"
                        : standing.graced.holds ? "unmolested, in a graced chat\(standing.graced.suffix)" : "unmolested"
        let name = party.name.isEmpty ? "You" : party.name
        return "\(name) (\(party.id)): \(status)"
    }
}
