extension String {
    /// A file's name, cut between characters to a length in UTF-8. Its ending stays: it tells people and programs what the file is.
    package func fileName(cutToBytes limit: Int) -> String {
        let ending = fileNameEnding
        var stem = ""
        var room = limit - ending.utf8.count
        for character in dropLast(ending.count) {
            room -= character.utf8.count
            if room < 0 { break }
            stem.append(character)
        }
        return stem + ending
    }

    /// The last dot and the short word behind it; empty when there is none.
    private var fileNameEnding: Substring {
        guard let dot = lastIndex(of: "."), dot != startIndex else { return "" }
        let ending = self[dot...]
        let isShortWord =
            (2...9).contains(ending.utf8.count)
            && ending.dropFirst().allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
        return isShortWord ? ending : ""
    }
}
