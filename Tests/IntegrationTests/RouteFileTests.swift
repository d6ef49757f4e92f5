import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RouteFileTests {
    private let here: RouteFixture

    init() throws { here = try RouteFixture() }

    private func route(_ toml: String, _ arguments: [String] = [], _ input: String) async throws -> ToolRun.Result {
        try toml.write(toFile: here.folder("routes.toml"), atomically: false, encoding: .utf8)
        return try await here.route(["--config", here.folder("routes.toml")] + arguments, input)
    }

    @Test func `Routes of a file are added to those of flags`() async throws {
        let toml = """
            dead_letter = "\(here.folder("dead"))"

            [[route]]
            name = "media"
            match = ["commands.media.#", "events.media.#"]
            to = "\(here.folder("media"))"

            [[route]]
            match = "events.#"
            version = 2
            to = "-"
            """
        let input = [
            RouteFixture.event("commands.media.x", 1), RouteFixture.event("events.media.x", 2, version: 2),
            RouteFixture.event("other", 3), RouteFixture.event("flag", 4),
        ]
        let result = try await route(
            toml, ["--stats", "-o", "flag=\(here.folder("flag"))"], input.joined(separator: "\n"))
        #expect(result.status == 65)
        #expect(here.numbers("media") == [1, 2])
        #expect(result.lines == [input[1]])
        #expect(here.numbers("flag") == [4])
        #expect(here.lines("dead").count == 1)
        #expect(result.errors.contains("route media: 2 events") && result.errors.contains("route events.#: 1 events"))
    }

    @Test func `A dead-letter flag takes precedence over the file`() async throws {
        let toml = "dead_letter = \"\(here.folder("a"))\"\n[[route]]\nmatch = \"a\"\nto = \"-\"\n"
        #expect(try await route(toml, ["--dead-letter", here.folder("b")], "oops").status == 65)
        #expect(here.lines("a").isEmpty)
        #expect(here.lines("b").count == 1)
    }

    static let faulty: [(String, String)] = [
        ("[[route]]\nmatch = \"a\"\nto = \"-\"\ncolour = 1\n", "routes.toml:4: unknown key \"colour\""),
        ("a = 1\ncolour = 1\n", "routes.toml:1: unknown key \"a\""),
        ("# colour = 1\n\n[colour]\nx = 1\n", "routes.toml:3: unknown key \"colour\""),
        (
            "[[route]]\nmatch = \"a\"\nto = \"-\"\n\n[[route]]\nto = \"-\"\n\"co lour\" = 1\n",
            "routes.toml:7: unknown key \"co lour\""
        ),
        ("[[route]]\nto = \"-\"\n", "routes.toml:1: route 1 has no match"),
        ("\n[[route]]\nmatch = \"a\"\n", "routes.toml:2: route 1 has no to"),
        ("[[route]]\nmatch = 5\nto = \"-\"\n", "routes.toml:2: match"),
        ("[[route]]\nmatch = []\nto = \"-\"\n", "routes.toml:2: match"),
        ("[[route]]\nmatch = [\"a\", 1]\nto = \"-\"\n", "routes.toml:2: match"),
        ("[[route]]\nmatch = \"a..b\"\nto = \"-\"\n", "routes.toml:2: \"a..b\" is not a pattern"),
        ("[[route]]\nmatch = \"a\"\nto = \"queue:-\"\n", "routes.toml:3: queue:-: a queue's name"),
        ("[[route]]\nmatch = \"a\"\nto = 1\n", "routes.toml:3: to is a text"),
        ("[[route]]\nmatch = \"a\"\nversion = 0\nto = \"-\"\n", "routes.toml:3: version"),
        ("[[route]]\nmatch = \"a\"\nversion = \"1\"\nto = \"-\"\n", "routes.toml:3: version"),
        ("[route]\nmatch = \"a\"\nto = \"-\"\n", "routes.toml:1: route is a list"),
        ("[[route]\n", "routes.toml:1: "),
        ("[[route]]\nmatch = \"a\"\nmatch = \"b\"\n", "routes.toml:3: "),
        ("", "no routes"),
        ("x=" + String(repeating: "[", count: 5000), "nested too deeply"),
        (String(repeating: "a.", count: 5000) + "a = 1", "nested too deeply"),
    ]

    @Test(arguments: faulty)
    func `Mistakes in a file are reported with their line`(_ toml: String, _ message: String) async throws {
        let result = try await route(toml, [], RouteFixture.event("a"))
        #expect(result.status == 78)
        #expect(result.errors.replacing("\\\"", with: "\"").contains(message), "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test func `A missing file is named`() async throws {
        let result = try await here.route(["--config", here.folder("none.toml")], "")
        #expect(result.status == 78)
        #expect(result.errors.contains("none.toml"))
    }
}
