import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RouteTests {
    private let here: RouteFixture

    init() throws { here = try RouteFixture() }

    private func event(_ type: String, _ number: Int = 0, version: Int? = nil) -> String {
        RouteFixture.event(type, number, version: version)
    }

    @Test func `Each route receives the events that its pattern matches`() async throws {
        let input = ["commands.media.video", "commands.media", "events.media.video", "commands.x.y.z", "events"]
            .enumerated().map { event($1, $0) + "\n" }.joined()
        let result = try await here.route(
            [
                "-o", "commands.media.*=\(here.folder("star"))", "-o", "commands.#=\(here.folder("hash"))",
                "--output", "*.media.video=\(here.folder("middle"))", "-o", "events=\(here.folder("direct"))", "-o",
                "#=-",
            ], input)
        #expect(result.status == 0)
        #expect(here.numbers("star") == [0])
        #expect(here.numbers("hash") == [0, 1, 3])
        #expect(here.numbers("middle") == [0, 2])
        #expect(here.numbers("direct") == [4])
        #expect(result.output == input)
    }

    @Test func `A route for one version receives no other version`() async throws {
        let input = [event("a", 0), event("a", 1, version: 1), event("a", 2, version: 2)].map { $0 + "\n" }.joined()
        let result = try await here.route(
            ["-o", "a@1=\(here.folder("one"))", "-o", "#@2=\(here.folder("two"))", "-o", "a=\(here.folder("any"))"],
            input)
        #expect(result.status == 0)
        #expect(here.numbers("one") == [0, 1])
        #expect(here.numbers("two") == [2])
        #expect(here.numbers("any") == [0, 1, 2])
    }

    @Test func `Routes to the same target share it and an event reaches it once`() async throws {
        let file = here.folder("both")
        let result = try await here.route(
            ["-o", "a.#=\(file)", "-o", "#.b=\(file)"],
            [event("a.b", 1), event("a", 2), event("b", 3)].joined(separator: "\n"))
        #expect(result.status == 0)
        #expect(here.numbers("both") == [1, 2, 3])
    }

    @Test func `Envelopes are forwarded byte for byte`() async throws {
        let odd = [
            #"  { "type" : "a" , "correlation_id":"\#(RouteFixture.correlation)","payload":{"é":"\u00e9\/", "n":1.0e0} }  "#,
            #"{"payload":{},"unknown":[1,{"z":null}],"correlation_id":"\#(RouteFixture.correlation.uppercased())","type":"\u0061"}"#,
            event("a") + "\r",
        ]
        let result = try await here.route(["-o", "a=-"], "\n\(odd.joined(separator: "\n\n"))")
        #expect(result.status == 0)
        #expect(result.output == odd.joined(separator: "\n") + "\n")
    }

    @Test func `Many events keep their order in every output`() async throws {
        let input = (0..<20_000).map { RouteFixture.event("t\($0 % 3)", $0, padding: $0 % 700) + "\n" }.joined()
        let result = try await here.route(
            [
                "-o", "t0=\(here.folder("0"))", "-o", "t1=\(here.folder("1"))", "-o", "t2=\(here.folder("2"))", "-o",
                "#=-",
            ], input)
        #expect(result.status == 0)
        #expect(result.output == input)
        for remainder in 0..<3 {
            #expect(here.numbers("\(remainder)") == Array(stride(from: remainder, to: 20_000, by: 3)))
        }
    }

    @Test func `A file is appended to after its torn last line is terminated`() async throws {
        try "whole\ntorn".write(toFile: here.folder("log"), atomically: false, encoding: .utf8)
        #expect(try await here.route(["-o", "#=\(here.folder("log"))"], event("a", 1)).status == 0)
        #expect(try await here.route(["-o", "#=\(here.folder("log"))"], event("a", 2)).status == 0)
        #expect(here.text("log") == "whole\ntorn\n\(event("a", 1))\n\(event("a", 2))\n")
    }

    @Test func `Events are forwarded at once while the input stays open`() async throws {
        let run = try ToolRun("ev-route", ["-o", "#=-"])
        for number in 0..<3 {
            run.send(event("a", number))
            #expect(try await run.waitForLines { $0.count == number + 1 }.count == number + 1)
        }
        run.closeInput()
        #expect(try await run.result().status == 0)
    }

    @Test func `A file can be the input`() async throws {
        try (event("a", 1) + "\n").write(toFile: here.folder("in"), atomically: false, encoding: .utf8)
        let result = try await here.route(["--from", here.folder("in"), "-o", "#=-"], "")
        #expect(result.status == 0)
        #expect(result.lines == [event("a", 1)])
    }

    @Test func `Statistics report the events that each route has matched`() async throws {
        let result = try await here.route(
            ["--stats", "--log-level", "error", "-o", "a.*=/dev/null", "-o", "#=-"], "\(event("a.b"))\n\(event("c"))\n")
        #expect(result.status == 0)
        #expect(result.errors.contains("route a.*: 1 events, \(event("a.b").utf8.count + 1) bytes"))
        #expect(result.errors.contains("route #: 2 events, \(result.output.utf8.count) bytes"))
    }

    @Test func `Help and version are printed`() async throws {
        let help = try await here.route(["--help"], "")
        #expect(help.status == 0)
        #expect(help.output.contains("--dead-letter") && help.output.contains("exec:COMMAND"))
        let version = try await here.route(["--version"], "")
        #expect(version.status == 0)
        #expect(version.lines.count == 1)
    }

    @Test(arguments: [
        [], ["-o", "no-target"], ["-o", "a..b=-"], ["-o", "a="], ["-o", "a@x=-"], ["-o", "a=exec:"],
        ["-o", "a=queue:no name"],
    ])
    func `Incomplete routes are refused`(_ arguments: [String]) async throws {
        #expect(try await here.route(arguments, "").status == 64)
    }
}
