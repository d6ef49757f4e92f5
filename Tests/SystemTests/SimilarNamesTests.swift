import System
import Testing

@Suite struct SimilarNamesTests {
    private let options = ["chat", "silent", "session", "concurrency", "video", "voice", "quiet", "to", "from"]

    @Test(arguments: [
        ("chta", ["chat"]), ("Chat", ["chat"]), ("sessoin", ["session"]), ("conc", ["concurrency"]),
        ("cncurency", ["concurrency"]), ("form", ["from"]), ("vidio", ["video"]), ("silnt", ["silent"]),
    ])
    func `A slip of few letters, an exchange and a beginning are recognized`(_ word: String, _ meant: [String]) {
        #expect(SimilarNames.nearest(to: word, among: options) == meant)
    }

    @Test(arguments: ["chap-name", "skip-same", "vice-chair", "tofu", "x", "", "user", "video-file-name", "quit-now"])
    func `A word that only shares letters is no slip`(_ word: String) {
        #expect(SimilarNames.nearest(to: word, among: options) == [])
    }

    @Test func `The nearest names come first, three at most`() {
        let names = ["jobs-nwe-1", "jobs-now", "jobs-new-2", "jobs-naw", "other"]
        #expect(SimilarNames.nearest(to: "jobs-new", among: names) == ["jobs-now", "jobs-new-2", "jobs-naw"])
        #expect(SimilarNames.hint(for: "jbos", among: ["jobs", "urls"]) == "; did you mean jobs?")
        #expect(SimilarNames.hint(for: "mail", among: ["jobs", "urls"]).isEmpty)
    }
}
