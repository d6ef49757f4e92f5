import JSON
import Payloads

extension VideoInfo {
    /// Returns the site's name for the subtitles in a language: written ones before those that a program made, the exact
    /// language before its variants.
    ///
    /// - Throws: `noSubtitles`, with the languages that there are.
    func subtitles(in language: String) throws(MediaError) -> String {
        let wanted = language.lowercased()
        let lists = [written, made]
        for names in lists {
            if let name = names.first(where: { $0.lowercased() == wanted }) { return name }
        }
        for names in lists {
            let variants = names.filter { $0.lowercased().hasPrefix(wanted + "-") }
            if let name = variants.min(by: { ($0.utf8.count, $0) < ($1.utf8.count, $1) }) { return name }
        }
        let all = written.isEmpty ? made : written
        guard !all.isEmpty else { throw MediaError(.noSubtitles, "That has no subtitles.") }
        let shown = all.prefix(10).joined(separator: ", ") + (all.count > 10 ? " …" : "")
        throw MediaError(.noSubtitles, "That has no subtitles in \(language), but in: \(shown).")
    }

    /// The languages of the subtitles that people wrote.
    var writtenSubtitles: [String] { written }

    private var written: [String] { names(in: "subtitles") }
    private var made: [String] { names(in: "automatic_captions") }

    /// Returns the names of a list that are languages. yt-dlp reads a name as a pattern, so no other may reach it.
    private func names(in list: String) -> [String] {
        (json[list]?.object?.members ?? []).map(\.key).filter(MediaVariant.isLanguage).sorted()
    }
}
