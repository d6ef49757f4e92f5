import Glibc
import JSON

/// Finds users, chats and channels in the text of a value, so that only they are parsed.
enum PeerText {
    private static let head = Array(#""_":""#.utf8)
    private static let kinds = ["user", "chat", "channel", "chatForbidden", "channelForbidden"].map {
        Array("\($0)\"".utf8)
    }

    /// Returns the places of all peers, at any depth; nil if the text has to be parsed to find them, because it was not written by this
    /// program's decoder, which puts the constructor first.
    static func places(in text: UnsafeRawBufferPointer) -> [Range<Int>]? {
        guard let start = text.baseAddress else { return [] }
        var found: [Range<Int>] = []
        var at = 0
        while let place = memchr(start + at, Int32(UInt8(ascii: "_")), text.count - at) {
            let underscore = UnsafeRawPointer(place) - start
            at = underscore + 1
            guard underscore > 0, matches(text, at: underscore - 1, head) else { continue }
            let name = underscore - 1 + head.count
            guard kinds.contains(where: { matches(text, at: name, $0) }) else { continue }
            guard underscore > 1, text[underscore - 2] == UInt8(ascii: "{"),
                let end = end(of: text, from: underscore - 2)
            else { return nil }
            found.append(underscore - 2..<end)
            at = end
        }
        return found
    }

    private static func matches(_ text: UnsafeRawBufferPointer, at place: Int, _ word: [UInt8]) -> Bool {
        guard text.count - place >= word.count else { return false }
        for index in 0..<word.count where text[place + index] != word[index] { return false }
        return true
    }

    /// Returns the place behind an object; nil if it has no end.
    private static func end(of text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var (at, depth, isInString) = (start, 0, false)
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: "\\"): at += 1
            case UInt8(ascii: "{") where !isInString: depth += 1
            case UInt8(ascii: "}") where !isInString:
                depth -= 1
                if depth == 0 { return at + 1 }
            default: break
            }
            at += 1
        }
        return nil
    }

    /// Returns a number that stands for the text of a peer.
    static func hash(_ text: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: text)
        return hasher.finalize()
    }
}
