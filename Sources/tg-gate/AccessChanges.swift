import BotAPI
import ChatCommands
import Envelope
import JSON
import Logging
import Payloads
import Stage
import Texts

extension Gate {
    /// Carries out an access command, and returns a reaction if it succeeded or a reply if it did not.
    func change(
        _ written: WrittenCommand, _ message: Message, _ update: Update, _ visitor: Visitor, receiver: EventReceiver?
    ) async throws -> [Envelope] {
        let words = GateWords(texts: texts, language: visitor.language)
        guard visitor.role == .admin, let actor = update.actor else {
            return [reply(words("access_only_admin"), message)]
        }
        let command: AccessCommand
        do { command = try AccessCommand(written, in: message) } catch {
            return [reply(words.usage(error), message)]
        }
        guard let meant = try await subject(of: command, message, receiver) else {
            return [reply(words("access_unknown_name"), message)]
        }
        let subject = meant.id
        guard !MessageIdentity.standIns.contains(subject) else {
            return [reply(words("access_stand_in"), message)]
        }
        if command.rule == .hammer, command.sets, admins.contains(subject) {
            return [reply(words("access_admin_hammer"), message)]
        }
        if command.sets {
            try await rules.set(command.rule, subject, by: actor.id, lasting: command.lasting)
            // Gracing a chat ends its smiting.
            if command.rule == .grace { _ = try await rules.remove(.smite, subject) }
        } else {
            guard try await rules.remove(command.rule, subject) else {
                return [reply(words("access_no_rule"), message)]
            }
        }
        runtime.log.notice(
            "access rule changed",
            metadata: [
                "rule": "\(command.rule.rawValue)", "subject": .stringConvertible(subject),
                "active": .stringConvertible(command.sets),
            ])
        let outcome = words.outcome(of: command, for: meant)
        var answers = [self.command(.react(emoji: "👍", messageID: nil, text: "👍 \(outcome)"), message)]
        // A name may have changed hands: the admin is told who was meant.
        if case .name = command.subject { answers.append(reply(outcome, message)) }
        return answers + changed(command, subject, actor)
    }

    private func subject(
        of command: AccessCommand, _ message: Message, _ receiver: EventReceiver?
    ) async throws -> NameLookup.Meant? {
        switch command.subject {
        case .chat: NameLookup.Meant(id: message.chatID, name: .chat)
        case .user(let id): NameLookup.Meant(id: id, name: .id)
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
    func whoami(_ message: Message, _ access: Access, _ standing: Standing, _ language: String?) async throws
        -> Envelope
    {
        let words = GateWords(texts: texts, language: language)
        if case .granted(.admin) = access, let other = message.repliedTo?.author {
            let visit = AccessRules.Visit(actor: other.id, chat: message.chatID)
            let standing = try await rules.admit([visit]).first ?? standing
            return reply(describe(other, standing, words, advice: "whoami_advice_admin"), message)
        }
        let writer =
            message.author ?? Party(id: message.chatID, username: nil, name: words("whoami_chat"))
        return reply(describe(writer, standing, words, advice: "whoami_advice"), message)
    }

    private func describe(_ party: Party, _ standing: Standing, _ words: GateWords, advice key: String) -> String {
        let isAdmin = admins.contains(party.id)
        return words(
            "whoami",
            [
                "name": party.name.isEmpty ? .raw(words("whoami_you")) : .text(party.name), "id": .text("\(party.id)"),
                "status": .raw(isAdmin ? words("status_admin") : words.status(standing)),
                "advice": .raw(isAdmin || standing.isDecided ? "" : words.advice(key, party)),
            ])
    }
}

/// Words the gate's replies in a user's language.
struct GateWords: Sendable {
    let texts: Texts
    let language: String?

    func callAsFunction(_ key: String, _ values: [String: TextValue] = [:]) -> String {
        texts.text(key, language, values)
    }

    func usage(_ error: AccessCommand.UsageError) -> String {
        guard let reply = error.reply else { return self("access_usage", ["command": .text(error.command)]) }
        return self("access_usage_reply", ["command": .text(error.command), "reply": .text(reply)])
    }

    /// Returns a sentence with the effect of a command.
    func outcome(of command: AccessCommand, for meant: NameLookup.Meant) -> String {
        let until = command.lasting.map { Term.left($0).suffix(self) } ?? .raw("")
        let key = "access_\(command.sets ? "" : "un")\(command.rule.rawValue)"
        return self(key, ["who": who(meant), "until": until])
    }

    private func who(_ meant: NameLookup.Meant) -> TextValue {
        let id = TextValue.text("\(meant.id)")
        return switch meant.name {
        case .chat: .raw(self("whoami_chat"))
        case .id: .raw(self("access_user", ["id": id]))
        case .seen(let name): .raw(self("access_user_seen", ["name": .text("@\(name)"), "id": id]))
        case .owner(let name, let shown): .text("@\(name) (\(shown), \(meant.id))")
        }
    }

    /// Tells how a stranger can be let in.
    func advice(_ key: String, _ party: Party) -> String {
        let bless = TextValue.text(".bless\(party.id > 0 ? " \(party.id)" : "")")
        let command = party.id > 0 ? bless : .raw(self("access_as_reply", ["command": bless]))
        return self(key, ["command": command, "grace": .text(".grace")])
    }

    /// Returns a standing in words; the first rule of this order that holds decides.
    func status(_ standing: Standing) -> String {
        if standing.hammered.holds { return self("status_banned", ["until": standing.hammered.suffix(self)]) }
        if standing.smitten.holds { return self("status_banned_chat") }
        if standing.blessed.holds { return self("status_blessed", ["until": standing.blessed.suffix(self)]) }
        if standing.graced.holds { return self("status_graced", ["until": standing.graced.suffix(self)]) }
        return self("status_none")
    }
}

extension Standing {
    /// Is true if a rule names the user or the chat.
    fileprivate var isDecided: Bool { hammered.holds || smitten.holds || blessed.holds || graced.holds }
}
