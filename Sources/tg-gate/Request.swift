import BotAPI
import ChatCommands
import Envelope
import JSON
import Payloads
import Stage

/// Represents one event of a batch, read as far as the gate needs it to decide.
///
/// Decisions use these values only, so that they are the same for an event that was parsed and for one of which a `PlainEventReader` has read
/// no more than the values.
struct Request: Sendable {
    /// Holds the whole event, or what takes its place.
    enum Source: Sendable {
        case parsed(Envelope, Update)
        case plain(PlainEvent)
    }

    let source: Source
    let actor: Party?
    let isFromBot: Bool
    /// The language of the user's app, such as `pt-BR`, if Telegram names it.
    let languageCode: String?
    /// The message to answer.
    let origin: EventOrigin?
    /// The command that the message's author gives; nil for edited and forwarded messages, and for messages that a
    /// program sent through the account, which give none.
    let command: WrittenCommand?
    /// Is true if the event may change access rules, which the next event depends on.
    let changesRules: Bool
    let visit: AccessRules.Visit

    /// Reads a parsed event. Returns nil if it has no update.
    init?(_ event: Envelope, admins: Set<Int64>) {
        guard let payload = try? TelegramUpdate(event) else { return nil }
        let update = Update(kind: payload.kind, body: payload.body)
        source = .parsed(event, update)
        actor = update.actor
        isFromBot = update.isFromBot
        languageCode = update.languageCode
        let message = update.message
        origin = message.map { EventOrigin($0) }
        let new = update.isNewMessage ? message : nil
        let bot = event.bot?.username
        let isByHand = !event.isSentByProgram
        command = new.flatMap { message in
            isByHand && !message.isOfAnother ? message.text.flatMap { WrittenCommand($0, bot: bot) } : nil
        }
        changesRules = Request.changesRules(command, actor, admins)
        visit = AccessRules.Visit(
            actor: actor?.id, appearances: update.actorIDs, chat: update.chatID, seen: update.describedUsers,
            migration: new?.migration)
    }

    /// Makes the request of a plain event: a new message of text from a person.
    init(
        _ plain: PlainEvent, from person: PlainEvent.Person, in chat: Int64, _ command: WrittenCommand?,
        admins: Set<Int64>
    ) {
        source = .plain(plain)
        actor = person.party
        isFromBot = person.isBot
        languageCode = person.languageCode
        origin = plain.origin
        self.command = command
        changesRules = Request.changesRules(command, person.party, admins)
        visit = AccessRules.Visit(
            actor: person.party.id, appearances: [person.party.id], chat: chat, seen: [person.party])
    }

    private static func changesRules(_ command: WrittenCommand?, _ actor: Party?, _ admins: Set<Int64>) -> Bool {
        guard let command, let actor, admins.contains(actor.id) else { return false }
        return AccessCommand.isOne(command.dotted)
    }

    /// Returns what a media command is about; nil if the message names nothing.
    func mediaSource(_ command: WrittenCommand) -> DownloadSource? {
        switch source {
        case .parsed(_, let update): update.message.flatMap { MediaSource.find(in: $0, command) }
        case .plain(let plain): MediaSource.find(in: plain.text, command)
        }
    }

    /// Returns the same request with the whole event, which is parsed if need be.
    ///
    /// - Throws: `MalformedInput` if the event has no update.
    func parsed(admins: Set<Int64>) throws(MalformedInput) -> (event: Envelope, update: Update) {
        switch source {
        case .parsed(let event, let update): return (event, update)
        case .plain(let plain):
            guard case .parsed(let event, let update)? = Request(try plain.head.envelope(), admins: admins)?.source
            else {
                throw MalformedInput.noUpdate
            }
            return (event, update)
        }
    }
}

extension MalformedInput {
    static let noUpdate = MalformedInput(.invalidPayload, "\(TelegramUpdate.type): the payload is not an update")
}
