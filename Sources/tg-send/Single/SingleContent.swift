import Payloads
import System

/// Makes the messages that carry a text, or files with a caption. What is too long for one message is split, becomes a document,
/// or is refused; it is never cut.
struct SingleContent {
    /// A longer text is more likely a mistake than a message.
    private static let mostPieces = 20

    let text: String?
    let caption: String?
    let files: [FileMessage]
    let options: MessageOptions
    let isCode: Bool
    let showsLinkPreview: Bool
    let long: SingleOptions.LongText
    let name: String?

    /// The new messages, and the file that holds the text if it became a document. The file exists as long as this object.
    var bodies: (bodies: [TelegramCommand.Body], file: GivenFile?) {
        get throws(ToolError) {
            guard files.isEmpty else { return (try media(), nil) }
            let text = try usable(text)
            // Telegram counts a formatted text without its formatting.
            guard options.parseMode == nil, text.utf16.count > TextMessage.limit else {
                return ([.send(message(text, options))], nil)
            }
            switch long {
            case .refuse: throw tooLong("text", text, TextMessage.limit, ": use --long split or --long document")
            case .document:
                let file = try GivenFile(contents: Array(text.utf8), name: name ?? "message.txt")
                return ([.file(FileMessage(.document, .path(file.path), options, fileName: file.name))], file)
            case .split: return (messages(try pieces(of: text, TextMessage.limit), first: 0), nil)
            }
        }
    }

    /// Returns the change of a message's text.
    ///
    /// - Throws: `ToolError` (64) for a text that one message cannot hold.
    func edit(of messageID: Int64) throws(ToolError) -> TelegramCommand.Body {
        let text = try usable(text)
        guard options.parseMode != nil || text.utf16.count <= TextMessage.limit else {
            throw tooLong("text", text, TextMessage.limit, "")
        }
        let changed = message(text, options)
        return .edit(messageID: messageID, text: changed.text, parseMode: changed.options.parseMode)
    }

    private func usable(_ text: String?) throws(ToolError) -> String {
        let text = text ?? ""
        guard text.contains(where: { !$0.isWhitespace }) else {
            throw ToolError(.usage, "the text is empty, so there is nothing to send")
        }
        return text
    }

    private func tooLong(_ what: String, _ text: String, _ limit: Int, _ advice: String) -> ToolError {
        ToolError(.usage, "the \(what) has \(text.utf16.count) characters, and Telegram accepts \(limit)\(advice)")
    }

    private func pieces(of text: String, _ limit: Int) throws(ToolError) -> [String] {
        guard let pieces = text.pieces(first: limit, others: TextMessage.limit, atMost: SingleContent.mostPieces) else {
            throw ToolError(
                .usage,
                "the text would become more than \(SingleContent.mostPieces) messages: use --long document, or --document -"
            )
        }
        return pieces
    }

    /// Returns messages of which only the first of all replies, and only the last has the buttons.
    private func messages(_ pieces: [String], first: Int) -> [TelegramCommand.Body] {
        pieces.enumerated().map { index, piece in
            var options = options
            if index + first > 0 { options.replyTo = nil }
            if index < pieces.count - 1 { options.buttons = [] }
            return .send(message(piece, options))
        }
    }

    private func message(_ text: String, _ options: MessageOptions) -> TextMessage {
        guard isCode else { return TextMessage(text, options, showsLinkPreview: showsLinkPreview) }
        var options = options
        options.parseMode = "HTML"
        let escaped = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
        return TextMessage("<pre>\(escaped)</pre>", options)
    }

    private func media() throws(ToolError) -> [TelegramCommand.Body] {
        var files = files
        var (caption, rest) = (caption, [String]())
        if let text = caption, options.parseMode == nil, text.utf16.count > FileMessage.captionLimit {
            guard long == .split else { throw tooLong("caption", text, FileMessage.captionLimit, ": use --long split") }
            rest = try pieces(of: text, FileMessage.captionLimit)
            caption = rest.removeFirst()
        }
        for index in files.indices { files[index].options = options }
        files[0].caption = caption
        if !rest.isEmpty { files[0].options.buttons = [] }
        let first: TelegramCommand.Body = files.count == 1 ? .file(files[0]) : .album(files)
        return [first] + messages(rest, first: 1)
    }
}

extension String {
    /// Splits a text into pieces of limited length: at the end of a line if there is one, else between words, else between characters.
    /// Pieces of blanks alone, which Telegram refuses, are left out.
    ///
    /// - Parameters:
    ///   - first: the most UTF-16 units of the first piece.
    ///   - others: those of the others.
    ///   - most: the most pieces.
    /// - Returns: nil if there would be more pieces.
    func pieces(first: Int, others: Int, atMost most: Int) -> [String]? {
        var pieces: [String] = []
        var rest = self[...]
        while !rest.isEmpty {
            guard pieces.count < most else { return nil }
            var piece = rest
            let limit = pieces.isEmpty ? first : others
            if let end = rest.utf16.index(rest.startIndex, offsetBy: limit, limitedBy: rest.endIndex),
                end < rest.endIndex
            {
                let head = rest.head(before: end)
                let cut = head.lastIndex(where: \.isNewline) ?? head.lastIndex(of: " ")
                piece = cut.map { rest[..<$0] } ?? head
                rest = cut.map { rest[rest.index(after: $0)...] } ?? rest[head.endIndex...]
            } else {
                rest = ""
            }
            if piece.contains(where: { !$0.isWhitespace }) { pieces.append(String(piece)) }
        }
        return pieces
    }
}

extension Substring {
    /// Returns the whole characters before an index; of a character of unusual length at the beginning, whole scalars.
    fileprivate func head(before end: Index) -> Substring {
        var end = end
        while Index(end, within: base.unicodeScalars) == nil { end = utf16.index(before: end) }
        let head = self[..<end]
        guard Index(end, within: base) == nil, let last = head.indices.last, last > startIndex else { return head }
        return head[..<last]
    }
}
