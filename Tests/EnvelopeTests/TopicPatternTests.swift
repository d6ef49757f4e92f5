import Testing

@testable import Envelope

@Suite struct TopicPatternTests {
    @Test(arguments: [
        ("#", "a", true), ("#", "a.b.c", true), ("a.#", "a", true), ("a.#", "a.b.c", true), ("a.#", "ab", false),
        ("a.*", "a.b", true), ("a.*", "a", false), ("a.*", "a.b.c", false), ("*.b", "a.b", true),
        ("#.c", "a.b.c", true),
        ("#.c", "c", true), ("a.#.c", "a.c", true), ("a.#.c", "a.b.b.c", true), ("a.#.c", "a.b", false),
        ("#.b.#", "a.b.c", true), ("#.b.#", "a.c", false), ("*", "a", true), ("*", "a.b", false),
        ("a.*.#", "a", false), ("a.*.#", "a.b", true), ("#.#", "x.y", true), ("#.*", "x", true),
        ("events.dl.*.ready", "events.dl.video.ready", true), ("events.dl.*.ready", "events.dl.video.failed", false),
    ])
    func `Patterns match as in AMQP`(_ pattern: String, _ name: String, _ expected: Bool) throws {
        #expect(try #require(TopicPattern(pattern)).matches(name) == expected)
    }

    @Test(arguments: ["", ".", "a.", ".a", "a..b", "a*", "#b", "a b"])
    func `Invalid text is not a pattern`(_ text: String) {
        #expect(TopicPattern(text) == nil)
    }

    @Test func `Many wildcards do not take exponential time`() throws {
        let pattern = try #require(TopicPattern(Array(repeating: "#.a", count: 40).joined(separator: ".") + ".b"))
        #expect(!pattern.matches(Array(repeating: "a", count: 120).joined(separator: ".")))
    }

    /// Compares the matcher with a plain implementation of the definition.
    @Test func `Matching agrees with the definition`() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            let words = (0..<Int.random(in: 1...5, using: &generator)).map { _ in
                ["a", "b", "*", "#"].randomElement() ?? "a"
            }
            let name = (0..<Int.random(in: 1...5, using: &generator)).map { _ in ["a", "b"].randomElement() ?? "a" }
            let pattern = try #require(TopicPattern(words.joined(separator: ".")))
            #expect(pattern.matches(name.joined(separator: ".")) == defined(words[...], name[...]), "\(words) \(name)")
        }
    }

    private func defined(_ words: ArraySlice<String>, _ name: ArraySlice<String>) -> Bool {
        guard let word = words.first else { return name.isEmpty }
        if word == "#" {
            return defined(words.dropFirst(), name) || (!name.isEmpty && defined(words, name.dropFirst()))
        }
        guard let part = name.first else { return false }
        return (word == "*" || word == part) && defined(words.dropFirst(), name.dropFirst())
    }
}
