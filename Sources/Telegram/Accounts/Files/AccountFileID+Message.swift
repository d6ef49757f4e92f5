package import JSON

extension AccountFileID {
    /// Returns the files of a `MessageMedia`, `Photo` or `Document`: one file, or one for each size of a photo, the
    /// largest last. Empty if there is none.
    ///
    /// - Parameter origin: the message that contains the files.
    package static func files(of media: JSON, origin: MessageOrigin?) -> [AccountFileID] {
        switch media["_"]?.string {
        case "messageMediaPhoto": media["photo"].map { files(of: $0, origin: origin) } ?? []
        case "messageMediaDocument": media["document"].map { files(of: $0, origin: origin) } ?? []
        case "photo": photo(media, origin)
        case "document": [document(media, origin)].compactMap { $0 }
        default: []
        }
    }

    private static func photo(_ photo: JSON, _ origin: MessageOrigin?) -> [AccountFileID] {
        let sizes = (photo["sizes"]?.array ?? []).compactMap { size in
            PhotoSize(size).flatMap { size in
                AccountFileID(photo, .photo, sizeBytes: size.sizeBytes, thumb: size.letter, origin).map { ($0, size) }
            }
        }
        return sizes.sorted { $0.1.area < $1.1.area }.map(\.0)
    }

    private static func document(_ document: JSON, _ origin: MessageOrigin?) -> AccountFileID? {
        AccountFileID(document, Kind(ofDocument: document), sizeBytes: document["size"]?.long, thumb: "", origin)
    }

    /// Returns the preview picture of a `Document` that can be downloaded; nil if it has none.
    package static func thumbnail(of document: JSON, origin: MessageOrigin?) -> (AccountFileID, PhotoSize)? {
        let sizes = (document["thumbs"]?.array ?? []).compactMap { PhotoSize($0) }
        // Telegram's own server prefers the size of 320 pixels.
        guard let size = sizes.first(where: { $0.letter == "m" }) ?? sizes.max(by: { $0.area < $1.area }),
            let id = AccountFileID(document, .document, sizeBytes: size.sizeBytes, thumb: size.letter, origin)
        else { return nil }
        return (id, size)
    }

    private init?(_ file: JSON, _ kind: Kind, sizeBytes: Int64?, thumb: String, _ origin: MessageOrigin?) {
        guard let id = file["id"]?.long, let accessHash = file["access_hash"]?.long,
            let reference = file["file_reference"]?.string, let dataCenter = file["dc_id"]?.int
        else { return nil }
        self.init(
            kind: kind, id: id, accessHash: accessHash, fileReference: reference, dataCenter: Int(dataCenter),
            sizeBytes: sizeBytes, thumb: thumb, origin: origin)
    }
}

extension AccountFileID.Kind {
    /// Derives the Bot API's name for a `Document` from its attributes.
    package init(ofDocument document: JSON) {
        let attributes = document["attributes"]?.array ?? []
        func attribute(_ name: String) -> JSON? { attributes.first { $0["_"]?.string == name } }
        if attribute("documentAttributeSticker") != nil {
            self = .sticker
        } else if attribute("documentAttributeAnimated") != nil {
            self = .animation
        } else if let video = attribute("documentAttributeVideo") {
            self = video["round_message"]?.bool == true ? .videoNote : .video
        } else if let audio = attribute("documentAttributeAudio") {
            self = audio["voice"]?.bool == true ? .voice : .audio
        } else {
            self = .document
        }
    }
}

/// A size of a photo that can be downloaded.
package struct PhotoSize: Sendable, Equatable {
    package let letter: String
    package let width: Int64
    package let height: Int64
    /// The size in bytes; nil if it is unknown.
    package let sizeBytes: Int64?

    /// Returns nil for a preview, whose bytes are part of the message.
    package init?(_ size: JSON) {
        guard ["photoSize", "photoSizeProgressive"].contains(size["_"]?.string), let letter = size["type"]?.string,
            !letter.isEmpty, let width = size["w"]?.int, let height = size["h"]?.int
        else { return nil }
        (self.letter, self.width, self.height) = (letter, width, height)
        sizeBytes = size["size"]?.int ?? size["sizes"]?.array?.last?.int
    }

    var area: Int64 { width &* height }
}
