import JSON

/// The two spellings of time that S3 uses: `20130524T000000Z` in signatures, RFC 9110 dates in headers.
extension Timestamp {
    /// `YYYYMMDDTHHMMSSZ`.
    var signatureStamp: String {
        description.prefix("2013-05-24T00:00:00".utf8.count).filter { $0 != "-" && $0 != ":" } + "Z"
    }

    /// Reads `Sat, 21 Nov 2026 19:03:06 GMT`; nil for any other form.
    init?(httpDate text: String) {
        let words = text.split(separator: " ")
        guard text.utf8.count <= 40, words.count == 6, words[5] == "GMT",
            let month = Timestamp.months.firstIndex(of: String(words[2])), let day = Int(words[1])
        else { return nil }
        let twoDigits = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        self.init("\(words[3])-\(twoDigits(month + 1))-\(twoDigits(day))T\(words[4])Z")
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
