@testable import Queue
import Testing

@testable import Routing

struct EntryOriginsTests {
    private func taken(_ lines: [String]) -> [TakenEntry] {
        lines.enumerated().map { index, line in
            TakenEntry(entry: QueueEntry(id: "\(index)-0", attempt: 1), askedAt: .now, line: Array(line.utf8))
        }
    }

    private func find(_ origins: inout EntryOrigins, _ line: String) -> Int? { origins.find(Array(line.utf8)) }

    @Test func `equal lines belong to different entries, once for each output`() {
        var origins = EntryOrigins(taken(["a", "b", "a"]))
        for _ in 0..<2 {
            origins.beginOutput()
            #expect([find(&origins, "a"), find(&origins, "b"), find(&origins, "a")] == [0, 1, 2])
            #expect(find(&origins, "a") == nil)
        }
    }

    @Test func `a changed line is found by its id, a derived one by the id of its cause`() {
        var origins = EntryOrigins(taken([#"{"id":"x"}"#, #"{"id":"y"}"#, "no JSON"]))
        origins.beginOutput()
        #expect(find(&origins, #"{"id":"y","n":1}"#) == 1)
        #expect(find(&origins, #"{"id":"z","causation_id":"x"}"#) == 0)
        #expect(find(&origins, #"{"id":"z"}"#) == nil && find(&origins, "[]") == nil && find(&origins, "oops") == nil)
    }

    @Test(arguments: [
        ("{}", true), ("oops", true), ("", false), ("  ", false), (" \t\r", false), ("{}\n{}", false), ("{}\n", false),
    ])
    func `only an entry of one line that is not blank is routed`(_ text: String, _ isRouted: Bool) {
        #expect(QueueIntake.isOneLine(Array(text.utf8)) == isRouted)
    }
}
