import JSON
import Payloads

/// Describes the call to the Bot API that carries out a command.
struct BotCall: Sendable {
    let method: String
    private(set) var parameters: JSONObject
    /// A local file to upload with the call.
    struct Upload: Sendable {
        /// The name of the form's part.
        let field: String
        let path: String
        let file: FileMessage
        /// The place in the parameter `media` of an album; nil for a single file.
        let place: Int?
    }

    private(set) var uploads: [Upload] = []

    /// - Parameter origin: the message that the request came from; it stands for a chat or message that the command
    ///   does not name.
    init(_ command: TelegramCommand, origin: EventOrigin?) {
        parameters = ["chat_id": (command.chat ?? origin?.chat)?.json]
        let thread = command.chat == nil ? origin?.threadID : nil
        switch command.body {
        case .send(let message):
            method = "sendMessage"
            addText(message)
            parameters.add(message.options, thread: thread)
        case .reply(let message):
            method = "sendMessage"
            addText(message)
            parameters.add(message.options, answering: origin?.messageID, thread: thread)
        case .edit(let messageID, let text, let parseMode):
            method = "editMessageText"
            parameters["message_id"] = .integer(messageID)
            addText(TextMessage(text, MessageOptions(parseMode: parseMode)))
        case .delete(let messageID):
            method = "deleteMessage"
            parameters["message_id"] = .integer(messageID)
        case .react(let emoji, let messageID, _):
            method = "setMessageReaction"
            parameters["message_id"] = (messageID ?? origin?.messageID).map { .integer($0) }
            parameters["reaction"] = emoji.isEmpty ? [] : [["type": "emoji", "emoji": .string(emoji)]]
        case .file(let file):
            method = "send\(file.kind.rawValue.capitalizedFirst)"
            addFile(file)
            parameters.add(
                file.options, answering: command.chat == nil ? origin?.messageID : nil, thread: thread)
        case .album(let files):
            method = "sendMediaGroup"
            for file in files { addMember(file) }
            if let options = files.first?.options {
                parameters.add(options, answering: command.chat == nil ? origin?.messageID : nil, thread: thread)
            }
        case .forward(let messages):
            method = messages.asCopies ? "copyMessages" : "forwardMessages"
            parameters["from_chat_id"] = messages.chat.json
            parameters["message_ids"] = .array(messages.ids.map { .integer($0) })
            parameters.add(messages.options, thread: thread)
        case .pin(let messageID):
            method = "pinChatMessage"
            parameters["message_id"] = (messageID ?? origin?.messageID).map { .integer($0) }
            parameters["disable_notification"] = true
        case .answer(let callbackID, let text):
            method = "answerCallbackQuery"
            parameters = ["callback_query_id": .string(callbackID)]
            if let text { parameters["text"] = .string(text.limited(toUTF16: 200)) }
        }
    }

    private mutating func addText(_ message: TextMessage) {
        let parseMode = message.options.parseMode
        parameters["text"] = .string(BotCall.limited(message.text, TextMessage.limit, parseMode))
        if let parseMode { parameters["parse_mode"] = .string(parseMode) }
        if !message.showsLinkPreview { parameters["link_preview_options"] = ["is_disabled": true] }
    }

    private mutating func addFile(_ file: FileMessage) {
        let field = file.kind.rawValue
        switch file.source {
        case .fileID(let text), .url(let text): parameters[field] = .string(text)
        case .path(let path): uploads = [Upload(field: field, path: path, file: file, place: nil)]
        }
        parameters.addCaption(of: file)
        parameters.add(file.description, method: method)
    }

    /// Adds a file to the album.
    private mutating func addMember(_ file: FileMessage) {
        var media = parameters["media"]?.array ?? []
        var member: JSONObject = ["type": .string(file.kind.rawValue)]
        switch file.source {
        case .fileID(let text), .url(let text): member["media"] = .string(text)
        case .path(let path):
            let field = "file\(media.count)"
            member["media"] = .string("attach://\(field)")
            uploads.append(Upload(field: field, path: path, file: file, place: media.count))
        }
        member.addCaption(of: file)
        member.add(file.description, method: "send\(file.kind.rawValue.capitalizedFirst)")
        media.append(.object(member))
        parameters["media"] = .array(media)
    }

    /// Returns the parameters with what is known of a file that is uploaded.
    ///
    /// - Parameter isStreamable: whether it is a video that plays before all of it has arrived.
    static func adding(
        _ description: MediaDescription, isStreamable: Bool, of upload: Upload, to parameters: JSONObject
    ) -> JSONObject {
        var parameters = parameters
        func complete(_ file: inout JSONObject) {
            file.add(description, method: "send\(upload.file.kind.rawValue.capitalizedFirst)")
            if isStreamable { file["supports_streaming"] = true }
        }
        guard let place = upload.place else {
            complete(&parameters)
            return parameters
        }
        var media = parameters["media"]?.array ?? []
        if var member = media[place].object {
            complete(&member)
            media[place] = .object(member)
        }
        parameters["media"] = .array(media)
        return parameters
    }

    /// The number of UTF-16 units of a command's text or caption that are not sent, because Telegram accepts no longer one.
    static func cutUnits(of command: TelegramCommand) -> Int {
        switch command.body {
        case .send(let message), .reply(let message):
            cutUnits(message.text, TextMessage.limit, message.options.parseMode)
        case .edit(_, let text, let parseMode): cutUnits(text, TextMessage.limit, parseMode)
        case .file(let file): cutUnits(of: [file])
        case .album(let files): cutUnits(of: files)
        default: 0
        }
    }

    private static func cutUnits(of files: [FileMessage]) -> Int {
        files.reduce(0) { $0 + cutUnits($1.caption ?? "", FileMessage.captionLimit, $1.options.parseMode) }
    }

    private static func cutUnits(_ text: String, _ limit: Int, _ parseMode: String?) -> Int {
        text.utf16.count - limited(text, limit, parseMode).utf16.count
    }

    /// Returns a plain text cut to Telegram's limit. A formatted text stays whole: Telegram counts it without the
    /// formatting, and refuses a text with an incomplete tag.
    fileprivate static func limited(_ text: String, _ limit: Int, _ parseMode: String?) -> String {
        parseMode == nil ? text.limited(toUTF16: limit) : text
    }
}

extension TextMessage {
    /// The most UTF-16 units that Telegram accepts in a text without formatting.
    static let limit = 4096
}

extension FileMessage {
    /// The most UTF-16 units that Telegram accepts in a caption without formatting.
    static let captionLimit = 1024
}

extension JSONObject {
    /// Adds the options of a new message.
    ///
    /// - Parameters:
    ///   - answering: the message to reply to if the options name none.
    ///   - thread: the topic if the options name none.
    fileprivate mutating func add(_ options: MessageOptions, answering: Int64? = nil, thread: Int64?) {
        addReply(to: options.replyTo ?? answering, thread: options.threadID ?? thread, isSilent: options.isSilent)
        if options.isProtected { self["protect_content"] = true }
        if let time = options.scheduledAt { self["schedule_date"] = .integer(time) }
        guard !options.buttons.isEmpty else { return }
        let rows: [JSON] = options.buttons.map { [.object(["text": .string($0.text), "url": .string($0.url)])] }
        self["reply_markup"] = .object(["inline_keyboard": .array(rows)])
    }

    /// Adds the parameters that every new message has: the message that it replies to, the topic, and whether it is
    /// silent.
    ///
    /// Telegram sends the message also when the message that it replies to has been deleted.
    mutating func addReply(to message: Int64?, thread: Int64?, isSilent: Bool = false) {
        if let message {
            self["reply_parameters"] = ["message_id": .integer(message), "allow_sending_without_reply": true]
        }
        if let thread { self["message_thread_id"] = .integer(thread) }
        if isSilent { self["disable_notification"] = true }
    }

    /// Adds the caption of a file.
    fileprivate mutating func addCaption(of file: FileMessage) {
        if let caption = file.caption, !caption.isEmpty {
            self["caption"] = .string(BotCall.limited(caption, FileMessage.captionLimit, file.options.parseMode))
        }
        if let parseMode = file.options.parseMode { self["parse_mode"] = .string(parseMode) }
    }

    /// Adds the details of a file that a method has parameters for.
    mutating func add(_ description: MediaDescription, method: String) {
        let duration = JSONObject.possible(description.durationSeconds?.rounded)
        switch method {
        case "sendVideo", "sendAnimation":
            self["duration"] = duration
            self["width"] = JSONObject.possible(description.width)
            self["height"] = JSONObject.possible(description.height)
        case "sendVoice": self["duration"] = duration
        case "sendAudio":
            self["duration"] = duration
            self["title"] = description.title.map { .string($0.limited(toUTF16: 64)) }
            self["performer"] = description.performer.map { .string($0.limited(toUTF16: 64)) }
        default: break
        }
    }

    /// Returns nil for a number that Telegram does not accept.
    private static func possible(_ number: Int64?) -> JSON? {
        number.flatMap { (0..<1_000_000_000).contains($0) ? .integer($0) : nil }
    }
}
