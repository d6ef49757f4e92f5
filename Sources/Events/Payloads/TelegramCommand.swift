package import Envelope
package import JSON

/// The actions of tg-send, as the words behind `commands.telegram.` and in `action` of its events.
package enum TelegramAction: String, Sendable, CaseIterable {
    case send, reply, edit, delete, react, pin
    /// Answers the press of a button.
    case answer
    case sendPhoto = "send_photo"
    case sendVideo = "send_video"
    case sendAnimation = "send_animation"
    case sendAudio = "send_audio"
    case sendVoice = "send_voice"
    case sendDocument = "send_document"
    case sendAlbum = "send_album"
    /// Forwards messages of another chat, or sends copies of them.
    case forward
    /// Sends the media of a finished request; no command asks for it.
    case deliver
}

/// A new message of text.
package struct TextMessage: Sendable, Hashable {
    package var text: String
    package var options: MessageOptions
    /// Is true if Telegram may show a preview of the first link.
    package var showsLinkPreview: Bool

    package init(_ text: String, _ options: MessageOptions = MessageOptions(), showsLinkPreview: Bool = false) {
        (self.text, self.options, self.showsLinkPreview) = (text, options, showsLinkPreview)
    }
}

/// A new message with a file.
package struct FileMessage: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        case photo, video, animation, audio, voice, document

        package var action: TelegramAction {
            switch self {
            case .photo: .sendPhoto
            case .video: .sendVideo
            case .animation: .sendAnimation
            case .audio: .sendAudio
            case .voice: .sendVoice
            case .document: .sendDocument
            }
        }
    }

    package enum Source: Sendable, Hashable {
        /// The path of a file on this machine, which is uploaded.
        case path(String)
        /// The URL from which Telegram downloads the file.
        case url(String)
        /// Telegram's identifier of a file, which is valid for one bot or account only.
        case fileID(String)
    }

    package var kind: Kind
    package var source: Source
    /// Is true if an account downloads the file of a `file_id` and uploads it again, as it must with files of chats that forbid
    /// forwarding. A bot sends such files by their `file_id`.
    package var reuploads = false
    package var caption: String?
    package var options: MessageOptions
    package var fileName: String?
    package var contentType: String?
    package var description: MediaDescription
    /// The address under which the file_id is cached.
    package var key: String?

    package init(
        _ kind: Kind, _ source: Source, caption: String? = nil, _ options: MessageOptions = MessageOptions(),
        fileName: String? = nil, contentType: String? = nil, description: MediaDescription = MediaDescription(),
        key: String? = nil
    ) {
        (self.kind, self.source, self.caption, self.options) = (kind, source, caption, options)
        (self.fileName, self.contentType, self.description, self.key) = (fileName, contentType, description, key)
    }
}

/// Messages of another chat that are forwarded.
package struct ForwardedMessages: Sendable, Hashable {
    package var chat: ChatID
    /// The messages in ascending order, from 1 to 100. The messages of an album are forwarded as an album.
    package var ids: [Int64]
    /// Is true if the new messages do not show where they come from.
    package var asCopies: Bool
    package var options: MessageOptions

    package init(_ chat: ChatID, _ ids: [Int64], asCopies: Bool = false, _ options: MessageOptions = MessageOptions()) {
        (self.chat, self.ids, self.asCopies, self.options) = (chat, ids, asCopies, options)
    }
}

/// Requests an action in a chat: `commands.telegram.*`.
package struct TelegramCommand: EventPayload {
    private static let prefix = "commands.telegram."
    package static let types = TelegramAction.allCases.filter { $0 != .deliver }.map { prefix + $0.rawValue }

    package enum Body: Sendable, Hashable {
        case send(TextMessage)
        case reply(TextMessage)
        /// Replaces the text of a message.
        case edit(messageID: Int64, text: String, parseMode: String?)
        case delete(messageID: Int64)
        /// Sets a reaction, or removes it if `emoji` is empty. Without `messageID` the message is that of `meta.origin`.
        /// Where Telegram does not allow the reaction, `text` answers the message in its place.
        case react(emoji: String, messageID: Int64?, text: String? = nil)
        case file(FileMessage)
        /// Sends several files as one album, all with the options of the first.
        case album([FileMessage])
        case forward(ForwardedMessages)
        /// Pins a message. Without `messageID` it is that of `meta.origin`.
        case pin(messageID: Int64?)
        /// Answers the press of a button, which the person's app shows as waiting until then; `text` appears for a moment.
        case answer(callbackID: String, text: String?)
    }

    /// The chat; nil means that of `meta.origin`.
    package var chat: ChatID?
    package var body: Body
    /// The keys of the payload that was read which have no effect: unknown ones, and those of a wrong type.
    package private(set) var unusedKeys: [String] = []

    /// All keys that some command understands.
    package static let keys = [
        "buttons", "callback_id", "caption", "chat_id", "content_type", "copy", "duration_seconds", "emoji", "file_id",
        "file_name", "files", "from_chat_id", "height", "key", "link_preview", "message_id", "message_ids",
        "parse_mode",
        "path", "performer", "protect", "reply_to", "reupload", "scheduled_at", "silent", "text", "thread_id", "title",
        "url",
        "width",
    ]

    package init(_ body: Body, chat: ChatID? = nil) {
        self.body = body
        self.chat = chat
    }

    /// - Throws: `MalformedInput` if the type is not such a command, or the payload lacks what its action needs.
    package init(_ payload: JSONObject, type: String) throws(MalformedInput) {
        guard let action = TelegramCommand.action(of: type) else {
            throw MalformedInput(.unknownType, "\(type) is not a command for Telegram")
        }
        var reader = PayloadReader(payload, type: type)
        chat = try reader.strict("chat_id") { ChatID($0) }
        body = try Body(action, &reader, type: type)
        unusedKeys = reader.unknown.members.filter { !$0.value.isNull }.map(\.key)
    }

    /// - Throws: `MalformedInput` as above, and if neither the payload nor `meta.origin` names the chat, or the message that
    ///   the action needs.
    package init(_ event: Envelope) throws(MalformedInput) {
        guard event.payload["chat_id"] != nil || event.origin?.chat != nil else {
            throw MalformedInput(.invalidPayload, "\(event.type): no chat_id, and no meta.origin to take it from")
        }
        try self.init(event.payload, type: event.type)
        switch body {
        case .react(_, nil, _) where event.origin?.messageID == nil, .pin(nil) where event.origin?.messageID == nil:
            throw MalformedInput(.invalidPayload, "\(event.type): no message_id")
        default: break
        }
    }

    /// The action that a type asks for; nil if the type is not such a command.
    package static func action(of type: String) -> TelegramAction? {
        guard type.hasPrefix(prefix), let action = TelegramAction(rawValue: String(type.dropFirst(prefix.count))),
            action != .deliver
        else { return nil }
        return action
    }

    package static func type(of action: TelegramAction) -> String { prefix + action.rawValue }

    package var action: TelegramAction {
        switch body {
        case .send: .send
        case .reply: .reply
        case .edit: .edit
        case .delete: .delete
        case .react: .react
        case .file(let file): file.kind.action
        case .album: .sendAlbum
        case .forward: .forward
        case .pin: .pin
        case .answer: .answer
        }
    }

    package var type: String { TelegramCommand.type(of: action) }

    package var json: JSONObject {
        switch body {
        case .send(let message), .reply(let message):
            message.options.add(
                to: [
                    "text": .string(message.text), "chat_id": chat?.json,
                    "link_preview": message.showsLinkPreview ? true : nil,
                ])
        case .edit(let messageID, let text, let parseMode):
            [
                "text": .string(text), "message_id": .integer(messageID), "parse_mode": JSON(parseMode),
                "chat_id": chat?.json,
            ]
        case .delete(let messageID): ["message_id": .integer(messageID), "chat_id": chat?.json]
        case .react(let emoji, let messageID, let text):
            [
                "emoji": .string(emoji), "chat_id": chat?.json, "message_id": JSON(messageID), "text": JSON(text),
            ]
        case .file(let file): file.json(chat: chat)
        case .album(let files):
            (files.first?.options ?? MessageOptions()).add(
                to: ["files": .array(files.map { .object($0.member) }), "chat_id": chat?.json])
        case .forward(let messages):
            messages.options.add(
                to: [
                    "from_chat_id": messages.chat.json, "message_ids": .array(messages.ids.map { .integer($0) }),
                    "copy": messages.asCopies ? true : nil, "chat_id": chat?.json,
                ])
        case .pin(let messageID): ["chat_id": chat?.json, "message_id": JSON(messageID)]
        case .answer(let callbackID, let text):
            ["callback_id": .string(callbackID), "chat_id": chat?.json, "text": JSON(text)]
        }
    }
}

extension TelegramCommand.Body {
    fileprivate init(
        _ action: TelegramAction, _ reader: inout PayloadReader, type: String
    ) throws(MalformedInput) {
        switch action {
        case .send: self = .send(try TextMessage(&reader, type: type))
        case .reply: self = .reply(try TextMessage(&reader, type: type))
        case .edit:
            let messageID = try TelegramCommand.Body.messageID(&reader, type: type)
            let message = try TextMessage(&reader, type: type)
            self = .edit(messageID: messageID, text: message.text, parseMode: message.options.parseMode)
        case .delete: self = .delete(messageID: try TelegramCommand.Body.messageID(&reader, type: type))
        case .react:
            self = .react(
                emoji: reader.string("emoji") ?? "", messageID: try reader.messageID("message_id"),
                text: reader.string("text"))
        case .pin: self = .pin(messageID: try reader.messageID("message_id"))
        case .answer:
            guard let id = reader.string("callback_id"), !id.isEmpty else {
                throw MalformedInput(.invalidPayload, "\(type): no callback_id")
            }
            self = .answer(callbackID: id, text: reader.string("text"))
        case .sendPhoto: self = .file(try FileMessage(.photo, &reader, type: type))
        case .sendVideo: self = .file(try FileMessage(.video, &reader, type: type))
        case .sendAnimation: self = .file(try FileMessage(.animation, &reader, type: type))
        case .sendAudio: self = .file(try FileMessage(.audio, &reader, type: type))
        case .sendVoice: self = .file(try FileMessage(.voice, &reader, type: type))
        case .sendDocument, .deliver: self = .file(try FileMessage(.document, &reader, type: type))
        case .sendAlbum: self = .album(try FileMessage.album(&reader, type: type))
        case .forward: self = .forward(try ForwardedMessages(&reader, type: type))
        }
    }

    private static func messageID(_ reader: inout PayloadReader, type: String) throws(MalformedInput) -> Int64 {
        guard let id = try reader.messageID("message_id") else {
            throw MalformedInput(.invalidPayload, "\(type): no message_id")
        }
        return id
    }
}

extension ForwardedMessages {
    fileprivate init(_ reader: inout PayloadReader, type: String) throws(MalformedInput) {
        guard let chat = try reader.strict("from_chat_id", { ChatID($0) }) else {
            throw MalformedInput(.invalidPayload, "\(type): no from_chat_id")
        }
        let ids = try reader.strict("message_ids", \.array)?.map(\.int) ?? []
        let numbers = Set(ids.compactMap { $0 }).filter { (1...Int64(Int32.max)).contains($0) }
        guard !ids.isEmpty, numbers.count == ids.count, ids.count <= 100 else {
            throw MalformedInput(
                .invalidPayload, "\(type): message_ids are from 1 to 100 different ids of messages, not \(ids.count)")
        }
        self.init(
            chat, numbers.sorted(), asCopies: reader.bool("copy") ?? false, try MessageOptions(&reader, type: type))
    }
}

extension TextMessage {
    fileprivate init(_ reader: inout PayloadReader, type: String) throws(MalformedInput) {
        guard let text = reader.string("text"), !text.isEmpty else {
            throw MalformedInput(.invalidPayload, "\(type): no text")
        }
        self.init(
            text, try MessageOptions(&reader, type: type), showsLinkPreview: reader.bool("link_preview") ?? false)
    }
}

extension FileMessage {
    fileprivate init(_ kind: Kind, _ reader: inout PayloadReader, type: String) throws(MalformedInput) {
        let source: Source
        if let id = reader.string("file_id") {
            source = .fileID(id)
        } else if let url = reader.string("url") {
            source = .url(url)
        } else if let path = reader.string("path") {
            source = .path(path)
        } else {
            throw MalformedInput(.invalidPayload, "\(type): one of path, url and file_id is needed")
        }
        self.init(
            kind, source, caption: reader.string("caption"), try MessageOptions(&reader, type: type),
            fileName: reader.string("file_name"), contentType: reader.string("content_type"),
            description: MediaDescription(&reader), key: reader.string("key"))
        reuploads = reader.bool("reupload") ?? false
    }

    fileprivate static func album(_ reader: inout PayloadReader, type: String) throws(MalformedInput) -> [FileMessage] {
        let list = try reader.strict("files", \.array) ?? []
        guard (2...10).contains(list.count) else {
            throw MalformedInput(.invalidPayload, "\(type): an album has from 2 to 10 files, not \(list.count)")
        }
        let options = try MessageOptions(&reader, type: type)
        var files: [FileMessage] = []
        for item in list {
            guard let object = item.object, let kind = object["kind"]?.string.flatMap(Kind.init(rawValue:)) else {
                throw MalformedInput(.invalidPayload, "\(type): a file lacks a known kind")
            }
            var members = PayloadReader(object, type: type)
            var file = try FileMessage(kind, &members, type: type)
            file.options = options
            files.append(file)
        }
        return files
    }

    private var place: JSONObject {
        switch source {
        case .path(let path): ["path": .string(path)]
        case .url(let url): ["url": .string(url)]
        case .fileID(let id): ["file_id": .string(id)]
        }
    }

    /// The members of a file of an album.
    fileprivate var member: JSONObject {
        let own: JSONObject = [
            "caption": JSON(caption), "file_name": JSON(fileName), "content_type": JSON(contentType),
            "reupload": reuploads ? true : nil,
        ]
        return JSONObject(
            [JSONObject.Member(key: "kind", value: .string(kind.rawValue))] + place.members + own.members
                + description.members)
    }

    fileprivate func json(chat: ChatID?) -> JSONObject {
        let message = options.add(
            to: [
                "caption": JSON(caption), "chat_id": chat?.json, "file_name": JSON(fileName),
                "content_type": JSON(contentType),
            ])
        let cache: JSONObject = ["key": JSON(key), "reupload": reuploads ? true : nil]
        return JSONObject(place.members + message.members + description.members + cache.members)
    }
}
