import BotAPI
import ChatCommands
import Envelope
import JSON
import Payloads
import Stage
import Synchronization

/// Represents an event that is nothing but a new message of text that a person wrote. Most commands are such events, and their results can be
/// written without a tree of the event.
struct PlainEvent: Sendable {
    /// Describes the author.
    struct Person: Sendable {
        let party: Party
        let isBot: Bool
        let languageCode: String?
    }

    let head: EventHead
    let id: EventID
    let origin: EventOrigin
    /// The text with its links.
    let text: MarkedText
    /// The members of `meta` as JSON text with commas between them. None has a key that the gate sets.
    let meta: [UInt8]

    /// The correlation of the work on the event; derived events get `meta` when they are written.
    var cause: Correlation { Correlation(correlationID: head.correlationID, causationID: id) }
}

/// Is thrown for an event that is not plain.
private struct NotPlain: Error {}

/// Reads plain events. It knows all members of a plain message by name, so that whatever else a message has is left to the parsed event.
final class PlainEventReader: Sendable {
    private struct Tools: ~Copyable, @unchecked Sendable {
        let parser = JSONParser()
        let buffer = TextBuffer()
    }

    private let tools = Mutex(Tools())
    private let admins: Set<Int64>

    init(admins: Set<Int64>) { self.admins = admins }

    /// Returns the request of an event; nil if the event is not plain.
    func read(_ head: EventHead) -> Request? {
        tools.withLock { tools in
            head.line.withBytes { bytes in
                guard let view = try? tools.parser.view(bytes, padded: true) else { return nil }
                return try? request(view, head, tools.buffer)
            }
        }
    }

    private func request(_ event: JSONView, _ head: EventHead, _ buffer: TextBuffer) throws(NotPlain) -> Request {
        guard let id = event["id"]?.text.flatMap({ EventID(utf8: $0) }), let payload = event["payload"] else {
            throw NotPlain()
        }
        let (meta, bot, isByHand) = try readMeta(event["meta"], buffer)
        let message = try Message(try message(of: payload))
        let command =
            isByHand ? message.text.flatMap { WrittenCommand($0, bot: bot) } : nil
        // Only the links of a command matter, but a mention of a user in any message makes it no plain one.
        let marks = try marks(message.entities)
        let plain = PlainEvent(
            head: head, id: id,
            origin: EventOrigin(
                chat: .id(message.chatID), messageID: message.id, threadID: message.threadID,
                chatType: message.chatType),
            text: MarkedText(message.text ?? "", marks), meta: meta)
        return Request(plain, from: message.author, in: message.chatID, command, admins: admins)
    }

    /// Returns the message of an update: the first object beside what every update may have, as `TelegramUpdate` finds it.
    private func message(of payload: JSONView) throws(NotPlain) -> JSONView {
        for (key, value) in payload.members where value.isObject {
            if key.isEqual(to: "message") { return value }
            if !key.isEqual(to: "update_id"), !key.isEqual(to: "counters"), !key.isEqual(to: "pts"),
                !key.isEqual(to: "tl")
            {
                break
            }
        }
        throw NotPlain()
    }

    /// Holds the values of a plain message.
    private struct Message {
        var id: Int64
        var chatID: Int64
        var chatType: String?
        var threadID: Int64?
        var author: PlainEvent.Person
        var text: String?
        var entities: JSONView?

        init(_ message: JSONView) throws(NotPlain) {
            var (id, from, chat, thread): (Int64?, JSONView?, JSONView?, JSONView?) = (nil, nil, nil, nil)
            var isOfTopic = false
            for (key, value) in message.members where !value.isNull {
                switch key.count {
                case 4 where key.isEqual(to: "from"): from = value
                case 4 where key.isEqual(to: "chat"): chat = value
                case 4 where key.isEqual(to: "date"): break
                case 4 where key.isEqual(to: "text"): text = try PlainEventReader.text(value)
                case 8 where key.isEqual(to: "entities"): entities = value
                case 10 where key.isEqual(to: "message_id"): id = value.int
                case 16 where key.isEqual(to: "is_topic_message"): isOfTopic = value.isTrue
                case 17 where key.isEqual(to: "message_thread_id"): thread = value
                case 20 where key.isEqual(to: "link_preview_options"): break
                default: throw NotPlain()
                }
            }
            guard let id, let chat, let chatID = chat["id"]?.int, let from else { throw NotPlain() }
            (self.id, self.chatID) = (id, chatID)
            threadID = isOfTopic ? thread?.int : nil
            chatType = try PlainEventReader.text(chat["type"])
            // A post is the channel's.
            if chatType == "channel" { throw NotPlain() }
            author = try PlainEventReader.person(from)
        }
    }

    private static func person(_ user: JSONView) throws(NotPlain) -> PlainEvent.Person {
        guard let id = user["id"]?.int, !MessageIdentity.standIns.contains(id) else { throw NotPlain() }
        let (first, last) = (try text(user["first_name"]), try text(user["last_name"]))
        let party = Party(id: id, username: try text(user["username"]), first: first, last: last)
        return PlainEvent.Person(
            party: party, isBot: user["is_bot"]?.isTrue == true, languageCode: try text(user["language_code"]))
    }

    private func marks(_ entities: JSONView?) throws(NotPlain) -> [MarkedText.Mark] {
        guard let entities else { return [] }
        guard entities.isArray else { throw NotPlain() }
        var marks: [MarkedText.Mark] = []
        for entity in entities.elements {
            guard entity["user"] == nil else { throw NotPlain() }
            let url = try PlainEventReader.text(entity["url"])
            guard let type = try PlainEventReader.text(entity["type"]), let kind = MarkedText.Mark.Kind(rawValue: type),
                let offset = entity["offset"]?.int, let length = entity["length"]?.int
            else { continue }
            marks.append(MarkedText.Mark(kind, offset: offset, length: length, url: url))
        }
        return marks
    }

    /// Reads the members of `meta`: as text, the name of the bot that received the message, and whether a person wrote it.
    private func readMeta(
        _ meta: JSONView?, _ buffer: TextBuffer
    ) throws(NotPlain) -> (members: [UInt8], bot: String?, isByHand: Bool) {
        buffer.clear()
        var (bot, isByHand): (String?, Bool) = (nil, true)
        guard let meta else { return ([], bot, isByHand) }
        for (key, value) in meta.members {
            switch key.count {
            case 3 where key.isEqual(to: "bot"): bot = try PlainEventReader.text(value["username"])
            case 4 where key.isEqual(to: "role"), 5 where key.isEqual(to: "actor"), 6 where key.isEqual(to: "origin"),
                7 where key.isEqual(to: "as_file"), 8 where key.isEqual(to: "hashtags"):
                throw NotPlain()
            case 15 where key.isEqual(to: "sent_by_program"): isByHand = !value.isTrue
            default: break
            }
            if buffer.count > 0 { buffer.put(literal: ",") }
            buffer.put(jsonString: key)
            buffer.put(literal: ":")
            buffer.put(value)
        }
        return (Array(buffer.bytes), bot, isByHand)
    }

    /// Returns a text; nil if there is no value. A value of another type is not plain, nor is a text that UTF-8 cannot represent.
    fileprivate static func text(_ value: JSONView?) throws(NotPlain) -> String? {
        guard let value else { return nil }
        guard let text = value.text else { throw NotPlain() }
        return String(decoding: text, as: UTF8.self)
    }
}
