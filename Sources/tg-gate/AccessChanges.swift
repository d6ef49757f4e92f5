import BotAPI
import Envelope
import JSON
import Logging
import Payloads
import Stage

extension Gate {
    /// Carries out an access command, and returns a reaction if it succeeded or a reply if it did not.
    func change(
        _ written: WrittenCommand, _ message: Message, _ update: Update, _ role: Role
    ) async throws -> [Envelope] {
        guard role == .admin, let actor = update.actor else {
            return [reply("Only an admin can do that.", message)]
        }
        let command: AccessCommand
        do { command = try AccessCommand(written, in: message) } catch { return [reply(error.text, message)] }
        guard let subject = try await subject(of: command, message) else {
            return [reply("I have not seen that user yet. Please reply to one of their messages instead.", message)]
        }
        if command.rule == .hammer, command.sets, admins.contains(subject) {
            return [reply("An admin cannot be hammered.", message)]
        }
        if command.sets {
            try await rules.set(command.rule, subject, by: actor.id, lasting: command.lasting)
            // Gracing a chat ends its smiting.
            if command.rule == .grace { _ = try await rules.remove(.smite, subject) }
        } else {
            guard try await rules.remove(command.rule, subject) else {
                return [reply("No such rule is in force.", message)]
            }
        }
        runtime.log.notice(
            "access rule changed",
            metadata: [
                "rule": "\(command.rule.rawValue)", "subject": .stringConvertible(subject),
                "active": .stringConvertible(command.sets),
            ])
        return [self.command(.react(emoji: "👍", messageID: nil), message)] + changed(command, subject, actor)
    }

    private func subject(of command: AccessCommand, _ message: Message) async throws -> Int64? {
        switch command.subject {
        case .chat: message.chatID
        case .user(let id): id
        case .name(let name): try await rules.userID(named: name)
        }
    }

    private func changed(_ command: AccessCommand, _ subject: Int64, _ actor: Party) -> [Envelope] {
        guard publishes(AccessChanged.type) else { return [] }
        let change = AccessChanged(
            command.rule, subjectID: subject, by: actor.id, isActive: command.sets,
            expiresAt: command.lasting.map { Timestamp.now + $0 })
        return [.derived(change)]
    }

    /// Returns a reply with the writer's standing; for an admin's reply to a message, with the standing of that message's author.
    func whoami(_ message: Message, _ access: Access, _ standing: Standing) async throws -> Envelope {
        if case .granted(.admin) = access, let other = message.repliedTo?.author {
            let visit = AccessRules.Visit(actor: other.id, chat: message.chatID)
            return reply(describe(other, try await rules.admit([visit]).first ?? standing), message)
        }
        let writer = message.author ?? Party(id: message.chatID, username: nil, name: "This chat")
        return reply(describe(writer, standing), message)
    }

    private func describe(_ party: Party, _ standing: Standing) -> String {
        let name = party.name.isEmpty ? "You" : party.name
        return "\(name) (\(party.id)): \(admins.contains(party.id) ? "admin" : standing.description)"
    }
}

extension Standing {
    /// The standing in the words of a reply; the first rule of this order that holds decides.
    var description: String {
        if hammered.holds { return "banned\(hammered.suffix)" }
        if smitten.holds { return "banned, as everybody in this chat" }
        if blessed.holds { return "blessed\(blessed.suffix)" }
        if graced.holds { return "unmolested, in a graced chat\(graced.suffix)" }
        return "unmolested"
    }
}
