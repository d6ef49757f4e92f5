package import BotAPI
import JSON

/// Holds a message's text, or the caption of media, with the links that Telegram has marked in it.
package struct MarkedText: Sendable {
    /// Represents the mark of a link.
    package struct Mark: Sendable {
        package enum Kind: String, Sendable {
            /// The marked text is the link.
            case url
            /// The marked text hides the link.
            case textLink = "text_link"
        }

        package let kind: Kind
        /// The place in UTF-16 units.
        package let offset: Int64
        package let length: Int64
        /// The hidden link.
        package let url: String?

        package init(_ kind: Kind, offset: Int64, length: Int64, url: String?) {
            (self.kind, self.offset, self.length, self.url) = (kind, offset, length, url)
        }
    }

    package let text: String
    /// The marks, in Telegram's order; all are within the text.
    package let marks: [Mark]

    /// Leaves out the marks that are not within the text.
    package init(_ text: String, _ marks: [Mark]) {
        self.text = text
        self.marks = marks.filter { text.hasPart(atUTF16: $0.offset, length: $0.length) }
    }

    package init(_ message: Message) {
        let list = (message.json["entities"] ?? message.json["caption_entities"])?.array ?? []
        self.init(
            message.text ?? "",
            list.compactMap { entity in
                guard let kind = entity["type"]?.string.flatMap({ Mark.Kind(rawValue: $0) }),
                    let offset = entity["offset"]?.int, let length = entity["length"]?.int
                else { return nil }
                return Mark(kind, offset: offset, length: length, url: entity["url"]?.string)
            })
    }
}
