import Glibc
import HTTP
import JSON
import TestSupport
import Testing

@testable import Media

/// Compares keys with yt-dlp's own example links, of which it knows the site and the video.
@Suite struct ExampleLinksTests {
    private struct Example {
        let url: String
        let extractor: String
        /// The ids by which the site or yt-dlp's pattern for its links names the video.
        let ids: Set<String>

        var description: String { "\(url) is \(extractor) \(ids.sorted())" }
    }

    /// Prints a line for each example of each extractor, with the ids that the example's result has, and the one in its
    /// link.
    private static let script = """
        import json
        from yt_dlp.extractor import gen_extractor_classes
        classes = [ie for ie in gen_extractor_classes() if ie.ie_key() != 'Generic']
        for ie in classes:
            for case in ie.get_testcases(include_onlymatching=True):
                url, info = case['url'], case.get('info_dict') or {}
                try:
                    first = ie if ie.suitable(url) else next((c for c in classes if c.suitable(url)), None)
                    groups = first._match_valid_url(url).groupdict() if first else {}
                    matched = groups.get('id') or groups.get('videoid')
                except Exception:
                    continue
                if first and url.startswith('http'):
                    print(json.dumps([url, first.ie_key(), matched, info.get('id'), info.get('display_id')]))
        """

    private static let examples = Result { () throws -> [Example] in
        let folder = try TemporaryFolder()
        try SmallFile.write(Array(script.utf8), to: folder("examples.py"))
        let python = "\(try PythonTools.binFolder())/python"
        let status = try SpawnedProgram(["sh", "-c", "exec \(python) \(folder("examples.py")) > \(folder("lines"))"])
            .wait()
        try #require(status == 0)
        let text = try #require(SmallFile.readBytes(folder("lines"), maxBytes: 1 << 24))
        return try text.split(separator: 10).map { line in
            let values = try #require(try JSON(parsing: Array(line)).array)
            let extractor = try #require(values[1].string)
            let ids = values.dropFirst(2).compactMap(\.string).filter { !$0.isEmpty }
            // yt-dlp's patterns take these ids without their first letters.
            let more = ["TwitchVod": "v", "BiliBili": "BV"][extractor].map { prefix in ids.map { prefix + $0 } } ?? []
            return Example(url: try #require(values[0].string), extractor: extractor, ids: Set(ids + more))
        }
    }

    @Test func `Of yt-dlp's example links no two with one key are of different videos`() throws {
        let examples = try Self.examples.get()
        #expect(examples.count > 3000)
        var first: [String: Example] = [:]
        for example in examples {
            guard let identity = SourceIdentity(example.url) else { continue }
            let other = first[identity.normalizedURL] ?? example
            first[identity.normalizedURL] = other
            let isSame = !other.ids.isDisjoint(with: example.ids) || other.ids.isEmpty || example.ids.isEmpty
            #expect(
                isSame && other.extractor == example.extractor || other.url == example.url,
                "\(identity.normalizedURL): \(other.description), \(example.description)")
        }
    }

    @Test func `A known link's key is fetched from the site and by the id that yt-dlp expects`() throws {
        // Links of a video within a list, and links that yt-dlp only passes on.
        let others: Set = ["YoutubeTab", "YoutubeYtBe", "FacebookReel"]
        var count = 0
        for example in try Self.examples.get() where !others.contains(example.extractor) {
            guard let identity = SourceIdentity(example.url), identity.isVideoPage else { continue }
            count += 1
            #expect(SourceIdentity(identity.fetchURL)?.normalizedURL == identity.normalizedURL, "\(example.url)")
            let isMet = try (example.ids + [""]).contains { id in
                identity.isMet(by: try VideoInfo(["extractor_key": .string(example.extractor), "id": .string(id)]))
            }
            #expect(isMet, "\(identity.normalizedURL): \(example.description)")
        }
        #expect(count > 150)
    }

    @Test func `No host of a stranger's matches a known site`() throws {
        let examples = try Self.examples.get().filter { SourceIdentity($0.url)?.isVideoPage == true }
        #expect(examples.count > 150)
        for example in examples {
            let url = try #require(WebURL(example.url))
            let labels = url.host.split(separator: ".").map(String.init)
            let rest = example.url.firstRange(of: url.host).map { example.url[$0.upperBound...] } ?? ""
            let hosts = [
                "\(url.host).attacker.example", "attacker-\(url.host)", "\(url.host)-attacker.example",
                "\(labels[max(0, labels.count - 2)]).attacker.example", "\(url.host)x", "x\(url.host)",
                "attacker.\(url.host)", "\(labels.dropLast().joined(separator: ".")).attacker", "\(url.host).",
                "attacker.example/https://\(url.host)", "attacker.example/?u=https://\(url.host)",
                "attacker.example/#https://\(url.host)",
            ]
            for host in hosts {
                let identity = SourceIdentity("https://\(host)\(rest)")
                #expect(identity?.isVideoPage != true, "https://\(host)\(rest)")
                #expect(identity.map { $0.normalizedURL != SourceIdentity(example.url)?.normalizedURL } ?? true)
            }
        }
    }
}
