import Crypto
import Envelope
import JSON

/// Replaces secrets and the data of people in events by pseudonyms, and keeps what the events' schemas require.
///
/// It replaces everything that is not known to be harmless: all texts but the words of the schemas, and all numbers but sizes, times, counts
/// and the ids of messages. Types, the ids of events, and keys stay.
struct Redactor: Sendable {
    private static let envelopeKeys: Set<String> = [
        "id", "type", "version", "correlation_id", "causation_id", "timestamp",
    ]
    private static let keysWithDigits: Set<String> = ["sha256", "line_base64"]
    /// The deepest dead letter within a dead letter whose line is kept in a readable form.
    private static let maxLetters = 3

    private let scrambler: Scrambler

    init(key: [UInt8]) { scrambler = Scrambler(key: key) }

    static func randomKey() -> [UInt8] { secureRandomBytes(32) }

    /// Returns the line of an event with pseudonyms. A line that is no event becomes a text of pseudonyms.
    @Sendable func redacted(_ line: [UInt8]) -> [UInt8] {
        guard case .object(let event)? = try? JSON(parsing: line) else {
            return Array(scrambler.text(String(decoding: line, as: UTF8.self)).utf8)
        }
        return JSON.object(envelope(event, letters: 0)).bytes
    }

    private func envelope(_ event: JSONObject, letters: Int) -> JSONObject {
        let correlation = event["correlation_id"]?.string ?? ""
        return JSONObject(
            event.members.compactMap { member in
                guard !Redactor.envelopeKeys.contains(member.key) else { return member }
                guard case .object(let object) = member.value else {
                    return .init(key: key(member.key), value: value(member.value, member.key, letters))
                }
                return .init(
                    key: key(member.key),
                    value: .object(self.object(object, letters, traceID: traceID(of: correlation))))
            })
    }

    /// Returns the id of the trace that belongs to a correlation id.
    private func traceID(of correlation: String) -> String { correlation.lowercased().filter { $0 != "-" } }

    private func object(_ object: JSONObject, _ letters: Int, traceID: String? = nil) -> JSONObject {
        JSONObject(
            object.members.compactMap { member in
                switch member.key {
                // Telegram's own form of an update repeats all of it in other words.
                case "tl": nil
                case "traceparent":
                    traceID.map { member.value.string?.hasPrefix("00-\($0)-") == true } == true ? member : nil
                default: .init(key: key(member.key), value: value(member.value, member.key, letters))
                }
            })
    }

    /// Keys are words of a schema; one that is none may be the data of somebody.
    private func key(_ key: String) -> String {
        let isWord = key.utf8.count <= 40 && key.allSatisfy { $0 == "_" || ("a"..."z").contains($0) }
        return isWord || Redactor.keysWithDigits.contains(key) ? key : scrambler.text(key)
    }

    private func value(_ value: JSON, _ key: String, _ letters: Int) -> JSON {
        switch value {
        case .null, .bool: value
        case .object(let object): .object(self.object(object, letters))
        case .array(let items): .array(items.map { self.value($0, key, letters) })
        case .string(let text), .escaped(let text, _): .string(string(text, key, letters))
        case .integer(let number): Vocabulary.numberKeys.contains(key) ? value : .integer(id(number))
        case .number, .unsigned, .numeral: Vocabulary.numberKeys.contains(key) ? value : .integer(0)
        }
    }

    // MARK: Ids

    /// Returns the pseudonym of the id of a user or chat, which is of the same kind: a user, a basic group, or a channel.
    private func id(_ number: Int64) -> Int64 {
        guard number != 0 else { return number }
        let channels: Int64 = -1_000_000_000_000
        let part = Int64(scrambler.number("id", "\(number)", below: 800_000_000_000)) + 100_000_000_000
        return number > 0 ? part : number <= channels ? channels - part : -part
    }

    // MARK: Texts

    private func string(_ text: String, _ key: String, _ letters: Int) -> String {
        if Vocabulary.wordKeys.contains(key) { return word(text) }
        switch key {
        case "key", "sha256": return address(text)
        case "checksum" where isHex(text, 16): return text
        case "item_id" where isHex(text, 32): return String(hex(scrambler.code("address", text[...])).prefix(32))
        case "correlation_id" where EventID(text) != nil: return text
        case "content_type", "mime_type":
            return Vocabulary.contentTypes.contains(text) ? text : "application/octet-stream"
        case "entry" where text.allSatisfy({ $0 == "-" || ("0"..."9").contains($0) }): return text
        case _ where key == "until" || key == "since" || key.hasSuffix("_at"):
            return Timestamp.isWellFormed(text) ? text : scrambler.text(text)
        case "domain": return scrambler.host(text)
        case "file_name": return fileName(text)
        case "store": return store(text)
        case "emoji" where text.unicodeScalars.allSatisfy({ !$0.isASCII && $0.properties.isEmoji || $0 == "\u{FE0F}" }):
            return text
        case "line": return deadLine(text, letters)
        case "chat_id" where text == "me": return text
        case "text", "caption":
            let first = text.prefix { !$0.isWhitespace }
            guard Vocabulary.commands.contains(String(first)) else { return words(text) }
            return first + words(text.dropFirst(first.count))
        default: return words(text)
        }
    }

    /// A word that the schemas do not have becomes one of the same form.
    private func word(_ text: String) -> String { Vocabulary.words.contains(text) ? text : scrambler.text(text) }

    private func isHex(_ text: some StringProtocol, _ count: Int) -> Bool {
        text.utf8.count == count && text.allSatisfy { ("0"..."9").contains($0) || ("a"..."f").contains($0) }
    }

    /// Returns the pseudonym of a content address: `video/<SHA-256>.mp4`. Everybody who knows a link can compute its address.
    private func address(_ text: String) -> String {
        var rest = text[...]
        let folder = ["video/", "audio/", "image/"].first { rest.hasPrefix($0) } ?? ""
        rest = rest.dropFirst(folder.count)
        let digits = rest.prefix(64)
        guard isHex(digits, 64) else { return words(text) }
        let ending = String(rest.dropFirst(64))
        let isPlain = ["", ".mp4", ".mp3", ".m4a", ".opus", ".bin"].contains(ending)
        return folder + hex(scrambler.code("address", digits)) + (isPlain ? ending : scrambler.text(ending))
    }

    private func fileName(_ text: String) -> String {
        guard let dot = text.lastIndex(of: "."),
            Vocabulary.fileExtensions.contains(String(text[text.index(after: dot)...]))
        else { return scrambler.text(text) }
        return scrambler.text(text[..<dot]) + text[dot...]
    }

    private func store(_ text: String) -> String {
        let scheme = ["s3://", "file:"].first { text.hasPrefix($0) } ?? ""
        return scheme + scrambler.text(text.dropFirst(scheme.count))
    }

    /// Returns the line of a dead letter, which is an event in most cases.
    private func deadLine(_ text: String, _ letters: Int) -> String {
        guard letters < Redactor.maxLetters, case .object(let event)? = try? JSON(parsing: text) else {
            return words(text)
        }
        return JSON.object(envelope(strict(event), letters: letters + 1)).text
    }

    /// Returns an event without those of its own keys that have another form than in a valid envelope.
    private func strict(_ event: JSONObject) -> JSONObject {
        JSONObject(
            event.members.filter { member in
                switch member.key {
                case "id", "correlation_id", "causation_id": member.value.string.map { EventID($0) != nil } ?? false
                case "timestamp": member.value.string.map { Timestamp.isWellFormed($0) } ?? false
                case "version": member.value.int != nil
                case "type":
                    member.value.string.map { $0.hasPrefix("events.") || $0.hasPrefix("commands.") } ?? false
                default: true
                }
            })
    }

    /// Returns a text with pseudonyms, in which links stay links.
    private func words(_ text: some StringProtocol) -> String {
        var result = ""
        var rest = Substring(text)
        while let start = Redactor.startOfLink(in: rest) {
            result += scrambler.text(rest[..<start])
            let end = rest[start...].firstIndex(where: \.isWhitespace) ?? rest.endIndex
            result += link(rest[start..<end])
            rest = rest[end...]
        }
        return result + scrambler.text(rest)
    }

    private static let beginningsOfLinks = ["https://", "http://", "t.me/"].map { Array($0.utf8) }

    private static func startOfLink(in text: Substring) -> Substring.Index? {
        let bytes = text.utf8
        return bytes.indices.first { index in
            // The first letters are h and t.
            guard bytes[index] | 0x20 == UInt8(ascii: "h") || bytes[index] | 0x20 == UInt8(ascii: "t") else {
                return false
            }
            let rest = bytes[index...].lazy.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
            return beginningsOfLinks.contains { rest.starts(with: $0) }
        }
    }

    /// - Parameter link: begins with `http://`, `https://` or `t.me/`.
    private func link(_ link: Substring) -> String {
        guard let slashes = link.firstRange(of: "://") else {
            return link.prefix(5) + scrambler.text(link.dropFirst(5))
        }
        let scheme = link[..<slashes.upperBound]
        let rest = link[slashes.upperBound...]
        let authority = rest.prefix { !"/?#".contains($0) }
        let path = rest[authority.endIndex...]
        if authority.lowercased() == "t.me" { return scheme + authority + scrambler.text(path) }
        // A login comes before the host, and a port after it.
        let at = authority.lastIndex(of: "@").map { authority.index(after: $0) } ?? authority.startIndex
        let host = authority[at...].prefix { $0 != ":" }
        let port = authority[host.endIndex...]
        let isPort = port.dropFirst().allSatisfy { ("0"..."9").contains($0) } && port.utf8.count <= 6
        return scheme + scrambler.text(authority[..<at]) + scrambler.host(host)
            + (isPort ? String(port) : scrambler.text(port))
            + scrambler.text(path)
    }
}
