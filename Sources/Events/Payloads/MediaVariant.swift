package import JSON

/// Describes the form in which media is wanted, where it differs from the usual one: the best picture, the whole length, no
/// subtitles, and sound as mp3.
///
/// The variant is part of the content address, so that two variants of one source never answer for each other.
package struct MediaVariant: Sendable, Hashable {
    /// The formats of sound.
    package enum AudioFormat: String, Sendable, CaseIterable {
        case mp3, m4a, opus
    }

    /// A part of the whole length, in milliseconds from the beginning.
    package struct Cut: Sendable, Hashable {
        package let start: Int64
        /// The value nil means the end of the media.
        package let end: Int64?

        /// The longest time from the beginning, in milliseconds: 30 days.
        package static let longest: Int64 = 30 * 86_400_000

        /// Returns nil for an empty part, the whole, and times that no media has.
        package init?(start: Int64, end: Int64?) {
            guard (0...Cut.longest).contains(start), end.map({ $0 > start && $0 <= Cut.longest }) ?? (start > 0) else {
                return nil
            }
            (self.start, self.end) = (start, end)
        }
    }

    /// The heights of the picture that a person may ask for.
    package static let heights: ClosedRange<Int64> = 100...8640

    /// The largest height of the picture; of a picture that stands upright, the largest width. A site without such a picture
    /// gives the next larger one.
    package var maxHeight: Int64?
    /// The format of sound, of which nil means mp3. It matters for sound alone.
    package var audioFormat: AudioFormat?
    /// The language of the subtitles, such as `en` or `pt-BR`.
    package var subtitles: String?
    /// Is true if the subtitles are drawn into the picture, where every player shows them.
    package var burnsSubtitles = false
    package var cut: Cut?
    /// The place of the video in the list or the post that the link leads to, from 1 on; nil for a link to one video.
    package var item: Int64?
    /// Names the file at the place `item` of a gallery, wherever it stands: the place changes when the gallery grows. It is
    /// `MediaVariant.itemIDLength` hex digits; nil if only the place is known.
    package var itemID: String?

    package static let itemIDLength = 32

    /// The places that a video can have.
    package static let items: ClosedRange<Int64> = 1...1_000_000

    package static let standard = MediaVariant()

    package init(
        maxHeight: Int64? = nil, audioFormat: AudioFormat? = nil, subtitles: String? = nil, cut: Cut? = nil,
        item: Int64? = nil, burnsSubtitles: Bool = false, itemID: String? = nil
    ) {
        (self.maxHeight, self.audioFormat, self.subtitles, self.cut) = (maxHeight, audioFormat, subtitles, cut)
        (self.item, self.burnsSubtitles, self.itemID) = (item, burnsSubtitles, itemID)
    }

    package var isStandard: Bool { self == .standard }

    /// Returns the variant without what has no effect on media of a kind, so that equal results have one address.
    package func of(_ kind: MediaKind) -> MediaVariant {
        switch kind {
        case .video:
            MediaVariant(
                maxHeight: maxHeight, subtitles: subtitles?.lowercased(), cut: cut, item: item,
                burnsSubtitles: burnsSubtitles && subtitles != nil)
        case .audio: MediaVariant(audioFormat: audioFormat == .mp3 ? nil : audioFormat, cut: cut, item: item)
        case .image: MediaVariant(item: item, itemID: itemID)
        }
    }

    /// The variant as the content address contains it; empty for the usual form. Never change the form of a part: stored
    /// objects would not be found any more.
    package var canonical: String {
        var parts: [String] = []
        if let maxHeight { parts.append("height=\(maxHeight)") }
        if let audioFormat { parts.append("audio=\(audioFormat.rawValue)") }
        if let subtitles { parts.append("subtitles=\(subtitles)") }
        if let cut { parts.append("cut=\(cut.start)-\(cut.end.map { "\($0)" } ?? "")") }
        if let itemID { parts.append("file=\(itemID)") } else if let item { parts.append("item=\(item)") }
        if burnsSubtitles { parts.append("burnt") }
        return parts.joined(separator: ";")
    }

    /// Returns whether a text is the name of a language: `en`, `pt-BR`, `zh-Hans`.
    package static func isLanguage(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 3, let first = parts.first, (2...3).contains(first.utf8.count) else { return false }
        return first.utf8.allSatisfy(isLetter)
            && parts.dropFirst().allSatisfy { part in
                (2...8).contains(part.utf8.count) && part.utf8.allSatisfy { isLetter($0) || (48...57).contains($0) }
            }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) }

    // MARK: Payloads

    /// The member `variant` of a payload; nil for the usual form.
    package var json: JSON? {
        isStandard
            ? nil
            : .object([
                "height": JSON(maxHeight), "audio_format": JSON(audioFormat?.rawValue), "subtitles": JSON(subtitles),
                "burn_subtitles": burnsSubtitles ? true : nil,
                "start_seconds": cut.map { MediaVariant.seconds($0.start) },
                "end_seconds": cut?.end.map { MediaVariant.seconds($0) }, "item": JSON(item),
                "item_id": JSON(itemID),
            ])
    }

    private static func seconds(_ milliseconds: Int64) -> JSON {
        milliseconds % 1000 == 0 ? .integer(milliseconds / 1000) : .number(Double(milliseconds) / 1000)
    }

    /// Reads a value that this program wrote; nil if it is damaged.
    package init?(_ json: JSON?) {
        do throws(MalformedInput) { try self.init(json, type: "") } catch { return nil }
    }

    /// Reads the member `variant`.
    ///
    /// - Throws: `MalformedInput` for a value that cannot be meant. Another form than the wanted one is worse than none.
    init(_ json: JSON?, type: String) throws(MalformedInput) {
        self = .standard
        guard let json, !json.isNull else { return }
        guard let object = json.object else { throw MediaVariant.fault(type, "variant is not an object") }
        var reader = PayloadReader(object, type: type)
        maxHeight = try reader.strict("height", \.int)
        if let maxHeight, !MediaVariant.heights.contains(maxHeight) {
            throw MediaVariant.fault(type, "the height \(maxHeight) is not one from 100 to 8640")
        }
        if let name = try reader.strict("audio_format", \.string) {
            guard let format = AudioFormat(rawValue: name) else {
                throw MediaVariant.fault(type, "audio_format is none of mp3, m4a and opus")
            }
            audioFormat = format
        }
        subtitles = try reader.strict("subtitles", \.string)
        if let subtitles, !MediaVariant.isLanguage(subtitles) {
            throw MediaVariant.fault(type, "subtitles is not a language such as en or pt-BR")
        }
        burnsSubtitles = try reader.strict("burn_subtitles", \.bool) ?? false
        cut = try MediaVariant.cut(&reader, type)
        item = try reader.strict("item", \.int)
        if let item, !MediaVariant.items.contains(item) {
            throw MediaVariant.fault(type, "item is not the place of a video in a list, from 1 on")
        }
        itemID = try reader.strict("item_id", \.string)
        if let itemID, item == nil || !MediaVariant.isItemID(itemID) {
            throw MediaVariant.fault(type, "item_id is not 32 hex digits in small letters, beside an item")
        }
    }

    private static func isItemID(_ text: String) -> Bool {
        text.utf8.count == itemIDLength && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    private static func cut(_ reader: inout PayloadReader, _ type: String) throws(MalformedInput) -> Cut? {
        let start = try reader.strict("start_seconds", \.double)
        let end = try reader.strict("end_seconds", \.double)
        guard start != nil || end != nil else { return nil }
        let range = 0...Double(Cut.longest) / 1000
        guard range.contains(start ?? 0), end.map(range.contains) ?? true,
            let cut = Cut(
                start: Int64(((start ?? 0) * 1000).rounded()), end: end.map { Int64(($0 * 1000).rounded()) })
        else { throw fault(type, "start_seconds and end_seconds are no part of the media") }
        return cut
    }

    private static func fault(_ type: String, _ words: String) -> MalformedInput {
        MalformedInput(.invalidPayload, "\(type): \(words)")
    }
}
