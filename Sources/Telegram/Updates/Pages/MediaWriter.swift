import Accounts
import JSON

/// Writes the photo or the document of a message in the form of the Bot API, as `BotMedia` shows it.
struct MediaWriter {
    let page: PageWriter
    let chat: PeerID
    let messageID: Int64

    private struct Size {
        let letter: String
        let width: Int64
        let height: Int64
        let bytes: Int64?

        var area: Int64 { width &* height }
    }

    /// Appends the members that a media adds to a message.
    ///
    /// - Returns: false if it is not written directly.
    func write(_ media: JSONView) -> Bool {
        let isWritten =
            if let photo = media["photo"] {
                writePhoto(photo)
            } else if let document = media["document"], media["video_cover"] == nil, media["video_timestamp"] == nil {
                writeDocument(document)
            } else {
                false
            }
        if isWritten, media["spoiler"]?.isTrue == true { page.output.append(literal: #","has_media_spoiler":true"#) }
        return isWritten
    }

    private func put(_ text: StaticString) { page.output.append(literal: text) }

    private func put(_ text: StaticString, _ number: Int64) {
        page.output.append(literal: text)
        page.output.append(integer: number)
    }

    private func put(_ text: StaticString, _ value: JSONView?) {
        guard let value else { return }
        page.output.append(literal: text)
        page.output.append(value)
    }

    private func file(
        _ view: JSONView, _ kind: AccountFileID.Kind, sizeBytes: Int64?, thumb: String = ""
    ) -> AccountFileID? {
        guard let id = view["id"]?.long, let accessHash = view["access_hash"]?.long,
            let reference = view["file_reference"]?.text, let dataCenter = view["dc_id"]?.int
        else { return nil }
        return AccountFileID(
            kind: kind, id: id, accessHash: accessHash, fileReference: String(decoding: reference, as: UTF8.self),
            dataCenter: Int(dataCenter), sizeBytes: sizeBytes, thumb: thumb,
            origin: MessageOrigin(chatID: chat.botAPI, messageID: messageID))
    }

    /// Appends the last members of every file.
    private func end(_ file: AccountFileID) {
        put(#","file_id":""#)
        page.output += file.text.utf8
        put(#"","file_unique_id":""#)
        page.output += file.uniqueText.utf8
        put("\"")
        if let bytes = file.sizeBytes { put(#","file_size":"#, bytes) }
        put("}")
    }

    // MARK: Photos

    private func writePhoto(_ photo: JSONView) -> Bool {
        guard photo["_"]?.isText("photo") == true, let sizes = sizes(photo["sizes"]), !sizes.isEmpty,
            var file = file(photo, .photo, sizeBytes: nil)
        else { return false }
        for (index, size) in sizes.sorted(by: { $0.area < $1.area }).enumerated() {
            (file.sizeBytes, file.thumb) = (size.bytes, size.letter)
            write(file, size, index == 0 ? #","photo":[{"width":"# : #",{"width":"#)
        }
        put("]")
        return true
    }

    private func write(_ file: AccountFileID, _ size: Size, _ opening: StaticString) {
        put(opening, size.width)
        put(#","height":"#, size.height)
        end(file)
    }

    /// Returns the sizes that can be downloaded; nil if two have the same letter.
    private func sizes(_ list: JSONView?) -> [Size]? {
        guard let list else { return [] }
        var sizes: [Size] = []
        for size in list.elements {
            guard let kind = size["_"], kind.isText("photoSize") || kind.isText("photoSizeProgressive"),
                let letter = size["type"]?.text, !letter.isEmpty, let width = size["w"]?.int,
                let height = size["h"]?.int
            else { continue }
            var bytes = size["size"]?.int
            if bytes == nil { for last in size["sizes"]?.elements ?? size.none { bytes = last.int } }
            let text = String(decoding: letter, as: UTF8.self)
            if sizes.contains(where: { $0.letter == text }) { return nil }
            sizes.append(Size(letter: text, width: width, height: height, bytes: bytes))
        }
        return sizes
    }

    // MARK: Documents

    /// The attributes of a `Document` that its form depends on.
    private struct Attributes {
        var video: JSONView?
        var audio: JSONView?
        var imageSize: JSONView?
        var name: JSONView?
        var isAnimated = false
        var isSticker = false

        init(_ document: JSONView) {
            for attribute in document["attributes"]?.elements ?? document.none {
                guard let kind = attribute["_"] else { continue }
                if kind.isText("documentAttributeFilename") {
                    name = name ?? attribute["file_name"]
                } else if kind.isText("documentAttributeVideo") {
                    video = video ?? attribute
                } else if kind.isText("documentAttributeAudio") {
                    audio = audio ?? attribute
                } else if kind.isText("documentAttributeImageSize") {
                    imageSize = imageSize ?? attribute
                } else if kind.isText("documentAttributeAnimated") {
                    isAnimated = true
                } else if kind.isText("documentAttributeSticker") || kind.isText("documentAttributeCustomEmoji") {
                    isSticker = true
                }
            }
        }

        var kind: AccountFileID.Kind {
            if isAnimated { return .animation }
            if let video { return video["round_message"]?.isTrue == true ? .videoNote : .video }
            if let audio { return audio["voice"]?.isTrue == true ? .voice : .audio }
            return .document
        }

        var size: JSONView? { video ?? imageSize }

        var duration: Int64 {
            let seconds = (video?["duration"] ?? audio?["duration"])?.json.double ?? 0
            return seconds.isFinite ? Int64(min(max(seconds, 0), 1e9)) : 0
        }
    }

    private func writeDocument(_ document: JSONView) -> Bool {
        let attributes = Attributes(document)
        let kind = attributes.kind
        guard document["_"]?.isText("document") == true, !attributes.isSticker,
            let file = file(document, kind, sizeBytes: document["size"]?.long),
            let thumbs = sizes(document["thumbs"]), document["mime_type"] != nil
        else { return false }
        // Which of several sizes without the usual one is shown depends on their areas.
        let thumb = thumbs.first { $0.letter == "m" } ?? thumbs.first
        guard thumbs.count < 2 || thumb?.letter == "m" else { return false }
        put(MediaWriter.opening(of: kind))
        describe(kind, document, attributes)
        if kind != .voice, !writeThumbnail(thumb, document) { return false }
        end(file)
        if kind == .animation {
            put(MediaWriter.opening(of: .document))
            describe(.document, document, attributes)
            guard writeThumbnail(thumb, document) else { return false }
            end(file)
        }
        return true
    }

    private func describe(_ kind: AccountFileID.Kind, _ document: JSONView, _ attributes: Attributes) {
        let size = attributes.size
        var isFirst = false
        switch kind {
        case .video, .animation:
            put(#""width":"#, orZero: size?["w"])
            put(#","height":"#, orZero: size?["h"])
            put(#","duration":"#, attributes.duration)
            put(#","file_name":"#, attributes.name)
        case .audio:
            put(#""duration":"#, attributes.duration)
            put(#","performer":"#, attributes.audio?["performer"])
            put(#","title":"#, attributes.audio?["title"])
            put(#","file_name":"#, attributes.name)
        case .voice: put(#""duration":"#, attributes.duration)
        case .videoNote:
            put(#""length":"#, orZero: size?["w"])
            return put(#","duration":"#, attributes.duration)
        case .document, .photo, .sticker:
            put(#""file_name":"#, attributes.name)
            isFirst = attributes.name == nil
        }
        put(isFirst ? #""mime_type":"# : #","mime_type":"#, document["mime_type"])
    }

    private func put(_ text: StaticString, orZero value: JSONView?) {
        put(text)
        if let value { page.output.append(value) } else { put("0") }
    }

    /// Appends the preview picture, if there is one.
    ///
    /// - Returns: false if it cannot be written.
    private func writeThumbnail(_ size: Size?, _ document: JSONView) -> Bool {
        guard let size else { return true }
        guard let file = file(document, .document, sizeBytes: size.bytes, thumb: size.letter) else { return false }
        write(file, size, #","thumbnail":{"width":"#)
        return true
    }

    private static func opening(of kind: AccountFileID.Kind) -> StaticString {
        switch kind {
        case .video: #","video":{"#
        case .animation: #","animation":{"#
        case .audio: #","audio":{"#
        case .voice: #","voice":{"#
        case .videoNote: #","video_note":{"#
        case .document, .photo, .sticker: #","document":{"#
        }
    }
}
