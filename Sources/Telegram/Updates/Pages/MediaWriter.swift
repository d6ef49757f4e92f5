import Accounts
import JSON

/// Writes the photo or the document of a message in the form of the Bot API, as `BotMedia` shows it.
struct MediaWriter {
    private let page: PageWriter
    private let output: TextBuffer
    private let origin: MessageOrigin

    init(_ page: PageWriter, _ chat: PeerID, messageID: Int64) {
        (self.page, output) = (page, page.output)
        origin = MessageOrigin(chatID: chat.botAPI, messageID: messageID)
    }

    /// Appends the members that a media adds to a message.
    ///
    /// - Returns: false if it is not written directly.
    func write(_ media: JSONView) -> Bool {
        let isWritten =
            if let photo = media["photo"] {
                writePhoto(photo, #","photo":["#)
            } else if let document = media["document"], media["video_cover"] == nil, media["video_timestamp"] == nil {
                writeDocument(document)
            } else {
                false
            }
        if isWritten, media["spoiler"]?.isTrue == true { output.put(#","has_media_spoiler":true"#) }
        return isWritten
    }

    /// Appends the last members of every file.
    private func end(_ file: AccountFileOutline) {
        output.put(#","file_id":""#)
        file.write(to: output, page.scratch)
        output.put(#"","file_unique_id":""#)
        file.writeUnique(to: output)
        output.put("\"")
        if let bytes = file.sizeBytes { output.put(#","file_size":"#, bytes) }
        output.put("}")
    }

    // MARK: Photos

    /// Appends the sizes of a photo, the largest last.
    ///
    /// - Returns: false if it is not written directly.
    func writePhoto(_ photo: JSONView, _ opening: StaticString) -> Bool {
        let parts = FileParts(photo)
        guard parts.kind?.matches("photo") == true, var sizes = sizes(parts.sizes), !sizes.isEmpty,
            var file = parts.outline(.photo, sizeBytes: nil, origin)
        else { return false }
        // There are few, mostly in this order already; equal ones keep their order.
        for index in sizes.indices.dropFirst() {
            var place = index
            while place > 0, sizes[place - 1].area > sizes[place].area {
                sizes.swapAt(place - 1, place)
                place -= 1
            }
        }
        output.put(opening)
        for (index, size) in sizes.enumerated() {
            (file.sizeBytes, file.thumb) = (size.bytes, size.letter)
            write(file, size, index == 0 ? #"{"width":"# : #",{"width":"#)
        }
        output.put("]")
        return true
    }

    private func write(_ file: AccountFileOutline, _ size: SizeParts, _ opening: StaticString) {
        output.put(opening, size.width)
        output.put(#","height":"#, size.height)
        end(file)
    }

    /// Returns the sizes that can be downloaded; nil if two have the same letter.
    private func sizes(_ list: JSONView?) -> [SizeParts]? {
        guard let list else { return [] }
        var sizes: [SizeParts] = []
        for element in list.elements {
            guard let size = SizeParts(element) else { continue }
            if sizes.contains(where: { $0.letter.elementsEqual(size.letter) }) { return nil }
            sizes.append(size)
        }
        return sizes
    }

    // MARK: Documents

    private func writeDocument(_ document: JSONView) -> Bool {
        let parts = FileParts(document)
        let attributes = Attributes(parts.attributes)
        let kind = attributes.kind
        guard parts.kind?.matches("document") == true, !attributes.isCustomEmoji, let mime = parts.mimeType,
            let file = parts.outline(kind, sizeBytes: parts.size?.long, origin), let thumbs = sizes(parts.thumbs)
        else { return false }
        // Which of several sizes without the usual one is shown depends on their areas.
        let usual = thumbs.first { $0.letter.matches("m") }
        guard thumbs.count < 2 || usual != nil else { return false }
        let thumbnail = usual ?? thumbs.first
        output.put(MediaWriter.opening(of: kind))
        if let sticker = attributes.sticker {
            guard describe(sticker, mime, attributes) else { return false }
        } else {
            describe(kind, mime, attributes)
        }
        if kind != .voice { writeThumbnail(thumbnail, parts) }
        end(file)
        if kind == .animation {
            output.put(MediaWriter.opening(of: .document))
            describe(.document, mime, attributes)
            writeThumbnail(thumbnail, parts)
            end(file)
        }
        return true
    }

    private func describe(_ kind: AccountFileID.Kind, _ mime: JSONView, _ attributes: Attributes) {
        let size = attributes.size
        var isFirst = false
        switch kind {
        case .video, .animation:
            put(#""width":"#, orZero: size?["w"])
            put(#","height":"#, orZero: size?["h"])
            output.put(#","duration":"#, attributes.duration)
            output.put(#","file_name":"#, attributes.name)
        case .audio:
            output.put(#""duration":"#, attributes.duration)
            output.put(#","performer":"#, attributes.audio?["performer"])
            output.put(#","title":"#, attributes.audio?["title"])
            output.put(#","file_name":"#, attributes.name)
        case .voice: output.put(#""duration":"#, attributes.duration)
        case .videoNote:
            put(#""length":"#, orZero: size?["w"])
            return output.put(#","duration":"#, attributes.duration)
        case .document, .photo, .sticker:
            output.put(#""file_name":"#, attributes.name)
            isFirst = attributes.name == nil
        }
        output.put(isFirst ? #""mime_type":"# : #","mime_type":"#, mime)
    }

    /// - Returns: false if the sticker has a part that is not written directly.
    private func describe(_ sticker: JSONView, _ mime: JSONView, _ attributes: Attributes) -> Bool {
        output.put(sticker["mask"]?.isTrue == true ? #""type":"mask""# : #""type":"regular""#)
        put(#","width":"#, orZero: attributes.size?["w"])
        put(#","height":"#, orZero: attributes.size?["h"])
        output.put(mime.matches("application/x-tgsticker") ? #","is_animated":true"# : #","is_animated":false"#)
        output.put(mime.matches("video/webm") ? #","is_video":true"# : #","is_video":false"#)
        if let emoji = sticker["alt"] {
            guard let text = emoji.text else { return false }
            if !text.isEmpty { output.put(#","emoji":"#, emoji) }
        }
        // Telegram sends the id of a set, and rarely its name.
        output.put(#","set_name":"#, sticker["stickerset"]?["short_name"])
        return sticker["mask_coords"] == nil && sticker["text_color"] == nil
    }

    private func put(_ text: StaticString, orZero value: JSONView?) {
        output.put(text)
        if let value { output.put(value) } else { output.put("0") }
    }

    /// Appends the preview picture, if there is one.
    private func writeThumbnail(_ size: SizeParts?, _ document: FileParts) {
        guard let size, var file = document.outline(.document, sizeBytes: size.bytes, origin) else { return }
        file.thumb = size.letter
        write(file, size, #","thumbnail":{"width":"#)
    }

    private static func opening(of kind: AccountFileID.Kind) -> StaticString {
        switch kind {
        case .video: #","video":{"#
        case .animation: #","animation":{"#
        case .audio: #","audio":{"#
        case .voice: #","voice":{"#
        case .videoNote: #","video_note":{"#
        case .sticker: #","sticker":{"#
        case .document, .photo: #","document":{"#
        }
    }
}

/// The attributes of a `Document` that its form depends on.
private struct Attributes {
    private(set) var video: JSONView?
    private(set) var audio: JSONView?
    private(set) var name: JSONView?
    /// The attribute of a sticker.
    private(set) var sticker: JSONView?
    private(set) var isCustomEmoji = false
    private var imageSize: JSONView?
    private var isAnimated = false

    init(_ attributes: JSONView?) {
        guard let attributes else { return }
        for attribute in attributes.elements {
            guard let kind = attribute["_"]?.text else { continue }
            if kind.matches("documentAttributeFilename") {
                name = name ?? attribute["file_name"]
            } else if kind.matches("documentAttributeVideo") {
                video = video ?? attribute
            } else if kind.matches("documentAttributeAudio") {
                audio = audio ?? attribute
            } else if kind.matches("documentAttributeImageSize") {
                imageSize = imageSize ?? attribute
            } else if kind.matches("documentAttributeAnimated") {
                isAnimated = true
            } else if kind.matches("documentAttributeSticker") {
                sticker = sticker ?? attribute
            } else if kind.matches("documentAttributeCustomEmoji") {
                isCustomEmoji = true
            }
        }
    }

    var kind: AccountFileID.Kind {
        if sticker != nil { return .sticker }
        if isAnimated { return .animation }
        if let video { return video["round_message"]?.isTrue == true ? .videoNote : .video }
        if let audio { return audio["voice"]?.isTrue == true ? .voice : .audio }
        return .document
    }

    var size: JSONView? { video ?? imageSize }

    var duration: Int64 {
        guard let duration = video?["duration"] ?? audio?["duration"] else { return 0 }
        let seconds = duration.double ?? 0
        return seconds.isFinite ? Int64(min(max(seconds, 0), 1e9)) : 0
    }
}

/// The parts of a `Photo` or `Document` that its form depends on.
private struct FileParts {
    private(set) var kind: JSONView?
    private(set) var sizes: JSONView?
    private(set) var thumbs: JSONView?
    private(set) var size: JSONView?
    private(set) var mimeType: JSONView?
    private(set) var attributes: JSONView?
    private var id: JSONView?
    private var accessHash: JSONView?
    private var reference: JSONView?
    private var dataCenter: JSONView?

    init(_ file: JSONView) {
        for (key, value) in file.members where !value.isNull {
            switch key.count {
            case 1: kind = value
            case 2: id = value
            case 4: if key.matches("size") { size = value }
            case 5: if key.matches("sizes") { sizes = value } else if key.matches("dc_id") { dataCenter = value }
            case 6: if key.matches("thumbs") { thumbs = value }
            case 9: if key.matches("mime_type") { mimeType = value }
            case 10: if key.matches("attributes") { attributes = value }
            case 11: if key.matches("access_hash") { accessHash = value }
            case 14: if key.matches("file_reference") { reference = value }
            default: break
            }
        }
    }

    /// Returns nil for a file that cannot be downloaded.
    func outline(_ kind: AccountFileID.Kind, sizeBytes: Int64?, _ origin: MessageOrigin) -> AccountFileOutline? {
        guard let id = id?.long, let accessHash = accessHash?.long, let reference = reference?.text,
            let dataCenter = dataCenter?.int
        else { return nil }
        return AccountFileOutline(
            kind: kind, id: id, accessHash: accessHash, fileReference: reference, dataCenter: dataCenter,
            sizeBytes: sizeBytes, thumb: UnsafeRawBufferPointer(start: nil, count: 0), origin: origin)
    }
}

/// The parts of a `PhotoSize` that can be downloaded.
private struct SizeParts {
    let letter: UnsafeRawBufferPointer
    let width: Int64
    let height: Int64
    let bytes: Int64?

    var area: Int64 { width &* height }

    /// Returns nil for a preview, whose bytes are part of the message.
    init?(_ size: JSONView) {
        var (kind, letter, width, height): (JSONView?, JSONView?, JSONView?, JSONView?)
        var (bytes, steps): (JSONView?, JSONView?)
        for (key, value) in size.members where !value.isNull {
            switch key.count {
            case 1:
                if key.matches("_") { kind = value }
                if key.matches("w") { width = value }
                if key.matches("h") { height = value }
            case 4: if key.matches("type") { letter = value } else if key.matches("size") { bytes = value }
            case 5: if key.matches("sizes") { steps = value }
            default: break
            }
        }
        guard let kind = kind?.text, kind.matches("photoSize") || kind.matches("photoSizeProgressive"),
            let letter = letter?.text, !letter.isEmpty, let width = width?.int, let height = height?.int
        else { return nil }
        (self.letter, self.width, self.height) = (letter, width, height)
        var last: JSONView?
        if bytes?.int == nil, let steps { for step in steps.elements { last = step } }
        self.bytes = bytes?.int ?? last?.int
    }
}
