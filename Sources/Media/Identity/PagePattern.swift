import HTTP
import JSON

/// Describes pages of a site by their path and a parameter: `/inbox/*`, `/list?id=saved`, `?show=private`.
///
/// In a path, `*` stands for any characters of one part between slashes. As the last part, it stands for everything below, and for
/// nothing. Without a path, all pages are meant; without a parameter, all its values. Letters count the same in both cases: a site may
/// not tell them apart. An exclamation mark in front makes an exception.
package struct PagePattern: Sendable, Hashable {
    /// The parts of the path; nil for any path.
    private let segments: [String]?
    private let includesBelow: Bool
    private let parameter: (name: String, value: String)?
    /// Is true if the pages are no pages of the account, whatever other patterns say.
    let isException: Bool

    package static func == (one: PagePattern, other: PagePattern) -> Bool { one.text == other.text }
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }

    /// The pattern as it was written.
    private let text: String

    /// Returns nil for a text that is no pattern.
    package init?(_ text: String) {
        self.text = text
        isException = text.hasPrefix("!")
        let body = text.dropFirst(isException ? 1 : 0).lowercased()
        let halves = body.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = halves.first, path.isEmpty || path.hasPrefix("/"), !body.isEmpty, !body.contains("#") else {
            return nil
        }
        var parts = path.split(separator: "/").map(String.init)
        includesBelow = parts.last == "*"
        if includesBelow { parts.removeLast() }
        segments = path.isEmpty ? nil : parts
        if halves.count == 2 {
            let words = halves[1].split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard words.count == 2, !words[0].isEmpty, !words[1].isEmpty else { return nil }
            parameter = (words[0], words[1])
        } else {
            parameter = nil
        }
    }

    func matches(_ page: Page) -> Bool {
        if let parameter {
            let isThere = page.parameters.contains { name, value in
                name == parameter.name && PagePattern.matches(value[...], parameter.value[...])
            }
            guard isThere else { return false }
        }
        guard let segments else { return true }
        guard page.segments.count == segments.count || (includesBelow && page.segments.count > segments.count) else {
            return false
        }
        return zip(page.segments, segments).allSatisfy { PagePattern.matches($0[...], $1[...]) }
    }

    /// Returns whether a text is what a pattern describes, in which `*` stands for any characters.
    private static func matches(_ text: Substring, _ pattern: Substring) -> Bool {
        let pieces = pattern.split(separator: "*", omittingEmptySubsequences: false)
        guard pieces.count > 1, let first = pieces.first, let last = pieces.last else { return text == pattern }
        guard text.hasPrefix(first) else { return false }
        var rest = text.dropFirst(first.count)
        for piece in pieces.dropFirst().dropLast() where !piece.isEmpty {
            guard let found = rest.firstRange(of: piece) else { return false }
            rest = rest[found.upperBound...]
        }
        return rest.hasSuffix(last)
    }

    /// Represents the parts of a link that patterns are compared with, decoded and in small letters.
    struct Page {
        let host: String
        let segments: [String]
        let parameters: [(name: String, value: String)]

        init(_ url: WebURL) {
            var host = url.host.lowercased()[...]
            while host.hasSuffix(".") { host = host.dropLast() }
            self.host = String(host)
            segments = url.path.split(separator: "/").map { Page.decoded($0) }.reduce(into: []) { parts, part in
                // A server may decode them, and only then follow them.
                if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(part) }
            }
            parameters = (url.query ?? "").split { $0 == "&" || $0 == ";" }.map { item in
                let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (Page.decoded(parts[0]), parts.count > 1 ? Page.decoded(parts[1]) : "")
            }
        }

        /// Returns the page of a link; and the one that its fragment names, if it is a path. Some sites name their pages so.
        static func all(of link: String) -> [Page] {
            guard let url = WebURL(link) else { return [] }
            let path = (url.fragment ?? "").drop { $0 == "!" }
            guard path.hasPrefix("/"), let other = WebURL("\(url.scheme)://\(url.host)\(path)") else {
                return [Page(url)]
            }
            return [Page(url), Page(other)]
        }

        private static func decoded(_ text: Substring) -> String {
            (percentDecoded(text) ?? String(text)).lowercased()
        }
    }
}
