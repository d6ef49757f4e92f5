import BotAPI
import ChatCommands
import Envelope
import JSON
import Logging
import Payloads
import Stage

extension Gate {
    /// Carries out an access command, and returns a reaction if it succeeded or a reply if it did not.
    func change(
        _ written: WrittenCommand, _ message: Message, _ update: Update, _ role: Role, receiver: EventReceiver?
    ) async throws -> [Envelope] {
        guard role == .admin, let actor = update.actor else {
            return [reply("Only an admin can do that.", message)]
        }
        let command: AccessCommand
        do { command = try AccessCommand(written, in: message) } catch { return [reply(error.text, message)] }
        guard let meant = try await subject(of: command, message, receiver) else {
            return [reply(Gate.unknownName, message)]
        }
        let subject = meant.id
        guard !MessageIdentity.standIns.contains(subject) else {
            return [reply("That id stands for many people. Please reply to one of their messages instead.", message)]
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
        let outcome = "\(meant.text) \(command.outcome)"
        var answers = [self.command(.react(emoji: "👍", messageID: nil, text: "👍 \(outcome)"), message)]
        // A name may have changed hands: the admin is told who was meant.
        if case .name = command.subject { answers.append(reply(outcome, message)) }
        return answers + changed(command, subject, actor)
    }

    private static let unknownName =
        "I have not seen that user within the last day. Please reply to one of their messages instead, or give their id."

    private func subject(
        of command: AccessCommand, _ message: Message, _ receiver: EventReceiver?
    ) async throws -> NameLookup.Meant? {
        switch command.subject {
        case .chat: NameLookup.Meant(id: message.chatID, text: "This chat")
        case .user(let id): NameLookup.Meant(id: id, text: "User \(id)")
        case .name(let name): try await names.owner(of: name, through: receiver)
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
        let isAdmin = admins.contains(party.id)
        let advice = isAdmin || standing.isDecided ? "" : Gate.advice(party)
        return "\(name) (\(party.id)): \(isAdmin ? "admin" : standing.description)\(advice)"
    }

    /// Tells a stranger how to be let in.
    private static func advice(_ party: Party) -> String {
        let bless = party.id > 0 ? ".bless \(party.id)" : ".bless as a reply"
        return ". An admin can let you in with \(bless), or all of a group with .grace"
    }
}

extension AccessCommand {
    /// The effect of the command, in the words of a reply that begins with its subject.
    fileprivate var outcome: String {
        let until = lasting.map { Term.left($0).suffix } ?? ""
        return switch (rule, sets) {
        case (.grace, true): "is graced\(until): everybody in it may use the bot."
        case (.grace, false): "is no longer graced."
        case (.smite, true): "is smitten: nobody in it may use the bot."
        case (.smite, false): "is no longer smitten."
        case (.bless, true): "is blessed\(until)."
        case (.bless, false): "is no longer blessed."
        case (.hammer, true): "is banned\(until)."
        case (.hammer, false): "is no longer banned."
        }
    }
}

extension Standing {
    /// Is true if a rule names the user or the chat.
    fileprivate var isDecided: Bool { hammered.holds || smitten.holds || blessed.holds || graced.holds }

    /// The standing in the words of a reply; the first rule of this order that holds decides.
    var description: String {
        if hammered.holds { return "banned\(hammered.suffix)" }
        if smitten.holds { return "banned, as everybody in this chat" }
        if blessed.holds { return "blessed\(blessed.suffix)" }
        if graced.holds { return "unmolested, in a graced chat\(graced.suffix)" }
        return "unmolested"
    }
}
