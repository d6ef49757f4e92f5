import Media
import Payloads
import System
import Texts

/// Makes the options of a question, and the words on their buttons.
struct Question: Sendable {
    private static let mostPictures = 6
    private static let mostSubtitles = 3
    private static let buttonsPerRow = 2
    private static let longestTitle = 200

    let texts: Texts
    /// The person's language; nil if it is not known.
    let language: String?
    /// The size above which a form is marked; nil for no limit.
    let limitBytes: Int64?

    /// Returns the options, row by row; the first one is the best form. A single option is no choice.
    ///
    /// - Parameters:
    ///   - base: what the person has chosen already, such as a part.
    ///   - sound: the format of sound that the person prefers; nil for the usual one.
    ///   - offersFile: whether a file to keep is one of the options; false if it was chosen already.
    func rows(
        _ choices: MediaChoices, _ base: MediaVariant, sound preferred: MediaVariant.AudioFormat? = nil,
        offersFile: Bool = true
    ) -> [[ChoiceOption]] {
        let best = ChoiceOption(form: .init(kind: .video, variant: base), label: texts.text("choice_best", language))
        let pictures = choices.pictures.prefix(Question.mostPictures).map { picture in
            var variant = base
            variant.maxHeight = picture.height
            return ChoiceOption(
                form: .init(kind: .video, variant: variant), label: label("\(picture.height)p", picture.sizeBytes))
        }
        var others: [ChoiceOption] = []
        if choices.hasSound {
            let sound = MediaVariant(audioFormat: base.audioFormat ?? preferred, cut: base.cut).of(.audio)
            others.append(
                ChoiceOption(
                    form: .init(kind: .audio, variant: sound),
                    label: label(texts.text("choice_audio", language), choices.soundBytes)
                ))
        }
        for name in subtitles(choices) {
            var variant = base
            variant.subtitles = name
            others.append(
                ChoiceOption(
                    form: .init(kind: .video, variant: variant),
                    label: texts.text("choice_subtitles", language, ["language": .text(name)])))
        }
        // In Telegram's own player, only what is drawn into the picture is seen.
        if let name = subtitles(choices).first {
            var variant = base
            (variant.subtitles, variant.burnsSubtitles) = (name, true)
            others.append(
                ChoiceOption(
                    form: .init(kind: .video, variant: variant),
                    label: texts.text("choice_burnt", language, ["language": .text(name)])))
        }
        // Without anything else to choose from, nobody is asked.
        guard !pictures.isEmpty || !others.isEmpty else { return [[best]] }
        if offersFile {
            others.append(
                ChoiceOption(
                    form: .init(kind: .video, variant: base, isFile: true), label: texts.text("choice_file", language)))
        }
        return [[best]] + Question.rows(Array(pictures)) + Question.rows(others)
    }

    /// Returns a line with the title, which is cut: the options behind it must be seen.
    static func heading(_ title: String?) -> String {
        title.map { "\(Direction.unmarked($0.limited(toUTF16: longestTitle)))\n" } ?? ""
    }

    /// The person's own language comes first, then English.
    private func subtitles(_ choices: MediaChoices) -> [String] {
        let own = texts.language(language) ?? Texts.defaultLanguage
        func rank(_ name: String) -> Int { name.hasPrefix(own) ? 0 : name.hasPrefix("en") ? 1 : 2 }
        let sorted = choices.subtitles.sorted { (rank($0), $0) < (rank($1), $1) }
        return Array(sorted.prefix(Question.mostSubtitles))
    }

    private func label(_ words: String, _ sizeBytes: Int64?) -> String {
        guard let sizeBytes else { return words }
        let text = "\(words) · \(ByteCount.text(sizeBytes))"
        guard let limitBytes, sizeBytes > limitBytes else { return text }
        return texts.text("choice_too_large", language, ["choice": .raw(text)])
    }

    private static func rows(_ options: [ChoiceOption]) -> [[ChoiceOption]] {
        stride(from: 0, to: options.count, by: buttonsPerRow).map {
            Array(options[$0..<min($0 + buttonsPerRow, options.count)])
        }
    }
}
