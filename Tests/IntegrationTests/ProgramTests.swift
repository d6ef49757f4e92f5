import Foundation
import JSON
import System
import TestSupport
import Testing

/// Checks the program that contains all tools.
@Suite(.timeLimit(.minutes(3))) struct ProgramTests {
    private static let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func tools() throws -> [String] {
        try SpawnedProgram.output(of: [ToolRun.path(of: "tgpipe"), "--tools"]).split(separator: "\n").map(String.init)
    }

    /// Runs a shell command and returns its exit status and its output.
    private func shell(_ command: String) throws -> (status: Int32, output: String) {
        let folder = try TemporaryFolder()
        let status = try SpawnedProgram(["bash", "-c", "(\(command)) > \(folder("output")) 2>&1"]).wait()
        return (status, try String(contentsOfFile: folder("output"), encoding: .utf8))
    }

    @Test func `The program, Package.swift and the folders of Sources name the same tools`() throws {
        let tools = try tools()
        #expect(!tools.isEmpty && tools == tools.sorted())
        let package = try String(contentsOf: Self.project.appending(path: "Package.swift"), encoding: .utf8)
        let declared = package.matches(of: /\btool\(\s*"([a-z-]+)"/).map { String($0.output.1) }
        #expect(declared.sorted() == tools)
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: Self.project.appending(path: "Sources").path(percentEncoded: false))
        #expect(folders.filter { $0.first?.isLowercase == true && $0 != "tgpipe" }.sorted() == tools)
    }

    @Test func `The first argument selects a tool`() throws {
        let program = ToolRun.path(of: "tgpipe")
        for tool in try tools() {
            let result = try shell("\(program) \(tool) --help")
            #expect(result.status == 0)
            #expect(result.output.contains("USAGE: \(tool)"))
        }
    }

    @Test(arguments: ["", "--no-such-flag"])
    func `A call without a tool is a usage error that lists the tools`(_ arguments: String) throws {
        let result = try shell("\(ToolRun.path(of: "tgpipe")) \(arguments)")
        #expect(result.status == 64)
        for tool in try tools() { #expect(result.output.contains("\n  \(tool) ")) }
    }

    @Test func `The version is printed, and an output that is full is an error`() throws {
        let program = ToolRun.path(of: "tgpipe")
        #expect(try shell("\(program) --version").output == "\(tgpipeVersion)\n")
        #expect(try shell("\(program) --tools >/dev/full").status == 74)
    }

    @Test(arguments: ["redis://me:hunter2@localhost", "unix://me:hunter2@/run/redis.sock"])
    func `An address in the place of an endpoint is refused, without its password`(_ address: String) throws {
        let folder = try TemporaryFolder()
        try Data("[[route]]\nmatch = \"#\"\nto = \"\(address)\"\n".utf8).write(
            to: URL(fileURLWithPath: folder("routes.toml")))
        for command in [
            "\(ToolRun.path(of: "ev-route")) --config \(folder("routes.toml"))",
            "\(ToolRun.path(of: "ratelimit")) --limit 5 --to \(address)",
        ] {
            let result = try shell("cd \(folder.path) && \(command) </dev/null")
            #expect([64, 78].contains(result.status), "\(result.output)")
            #expect(!result.output.contains("hunter2"), "\(result.output)")
        }
    }

    /// Other threads may still use a library while an exit handler takes it down, which killed tools now and then at their end.
    @Test func `A tool ends without taking down its libraries`() throws {
        let folder = try TemporaryFolder()
        for (command, status) in [
            ("ev-route -o '#=-' </dev/null", Int32(0)), ("ratelimit --limit 1 --redis http://x </dev/null", 78),
        ] {
            let result = try shell(
                "TGPIPE_STATE=\(folder.path) LD_DEBUG=files LD_DEBUG_OUTPUT=\(folder("log")) \(ToolRun.path(of: "tgpipe")) \(command)"
            )
            #expect(result.status == status, "\(result.output)")
        }
        let logs = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("log.") }
        #expect(logs.count >= 2)
        for name in logs {
            let text = try String(contentsOfFile: folder(name), encoding: .utf8)
            #expect(text.contains("calling init:") && !text.contains("calling fini:"))
        }
    }

    @Test func `A file whose name is not UTF-8 is read, and another such argument is refused`() throws {
        let folder = try TemporaryFolder()
        let command =
            "cd \(folder("")) && printf hello > $'a\\xffb.mp4' && \(ToolRun.path(of: "blob-put")) --store file:\(folder("s")) "
        for argument in ["--file $'a\\xffb.mp4'", "--file=$'a\\xffb.mp4'", "--file=$PWD/$'a\\xffb.mp4'"] {
            let result = try shell(command + "--key k \(argument)")
            #expect(result.status == 0, "\(result.output)")
            #expect(try JSON(parsing: result.output)["payload"]?["content_type"] == "video/mp4")
            #expect(try JSON(parsing: result.output)["payload"]?["size_bytes"] == 5)
        }
        let refused = try shell(command + "--file $'none\\xff'")
        #expect(refused.status == 64 && refused.output.contains("not UTF-8"))
        #expect(try shell("\(ToolRun.path(of: "ev-route")) -o $'#=out\\xff' </dev/null").status == 64)
    }

    @Test(arguments: ["--help", "-h", "help"]) func `Help is printed on standard output`(_ argument: String) throws {
        let result = try shell("\(ToolRun.path(of: "tgpipe")) \(argument) 2>/dev/null")
        #expect(result.status == 0)
        #expect(result.output.hasPrefix("USAGE: tgpipe <tool>"))
    }

    @Test func `A link in another folder selects the tool by its name`() throws {
        let folder = try TemporaryFolder()
        symlink(ToolRun.path(of: "tgpipe"), folder("ratelimit"))
        symlink(folder("ratelimit"), folder("ev-queue"))
        #expect(try shell("\(folder("ratelimit")) --help").output.contains("USAGE: ratelimit"))
        #expect(try shell("cd \(folder.path) && ./ev-queue --help").output.contains("USAGE: ev-queue"))
        #expect(try shell("PATH=\(folder.path) ratelimit --help").output.contains("USAGE: ratelimit"))
    }

    @Test func `An empty program name selects no tool`() throws {
        let program = ToolRun.path(of: "tgpipe")
        #expect(try shell("exec -a '' \(program)").status == 64)
        #expect(try shell("exec -a '' \(program) ev-queue --help").output.contains("USAGE: ev-queue"))
        #expect(try shell("exec -a / \(program) --tools").output == tools().map { $0 + "\n" }.joined())
    }

    @Test func `A value that begins with three dashes is a value`() throws {
        let folder = try TemporaryFolder()
        let send = "TG_BOT_TOKEN= TGPIPE_STATE=\(folder.path) \(ToolRun.path(of: "tg-send")) --chat 42"
        // Without a token, the arguments are all right, and the settings are not.
        for value in ["'--- done ---'", "---", "'-5 °C'"] {
            #expect(try shell("\(send) --text \(value)").status == 78)
            #expect(try shell("\(send) --document x --caption \(value)").status == 78)
        }
        #expect(try shell("\(send) --text x ---done").status == 64)
        #expect(try shell("\(send) --silent --- --text x").status == 64)
    }

    @Test func `Every tool prints the same version`() throws {
        let versions = try tools().map { try SpawnedProgram.output(of: [ToolRun.path(of: $0), "--version"]) }
        #expect(Set(versions).count == 1)
    }

    @Test func `A wrong address of Redis is refused with the name of the variable or option`() async throws {
        let variable = try await ToolRun.run("ev-queue", ["stats"], environment: ["TGPIPE_REDIS": "localhost"])
        #expect(variable.status == 78 && variable.errors.contains("TGPIPE_REDIS: "), "\(variable.errors)")
        #expect(variable.errors.contains("did you mean redis://localhost?"))
        let option = try await ToolRun.run("ev-queue", ["stats", "--redis", "http://x"])
        #expect(option.status == 78 && option.errors.contains("--redis: "), "\(option.errors)")
    }

    @Test(arguments: [
        ("ev-route", ["-o", "#=-"]), ("ratelimit", ["--limit", "9", "--window", "1m", "--key", "type"]),
        ("tg-gate", ["--admin", "42"]), ("tg-talk", ["--no-menu"]),
    ])
    func `With --stamp, a line without a correlation id gets one, and no other byte changes`(
        _ tool: String, _ arguments: [String]
    ) async throws {
        let folder = try TemporaryFolder()
        let lines = [
            #" { "type":"my.event" , "payload":{"a":1.50}}"#, #"{"type":"my.event"}"#,
            #"{"type":"my.event","correlation_id":"0192f0c1-2345-7abc-8def-0123456789ab"}"#,
        ]
        let input = lines.joined(separator: "\n") + "\n{}\n{\"type\":7}\n"
        let result = try await ToolRun.run(tool, ["--stamp"] + arguments, input: input, folder: folder)
        #expect(result.status == 65, "\(result.errors)")
        #expect(result.lines.count == 3, "\(result.output) \(result.errors)")
        let member = /"correlation_id":"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",/
        #expect(result.lines.map { $0.replacing(member, with: "") }.prefix(2) == lines.prefix(2))
        #expect(result.lines.last == lines.last)
        let without = try await ToolRun.run(tool, arguments, input: input, folder: folder)
        #expect(without.lines == [lines[2]])
    }

    @Test func `A quiet tool logs errors only`() async throws {
        let folder = try TemporaryFolder()
        let loud = try await ToolRun.run("ev-route", ["-o", "a.*=-"], input: "{}\n", folder: folder)
        #expect(loud.errors.contains("warning"))
        let quiet = try await ToolRun.run("ev-route", ["-q", "-o", "a.*=-"], input: "{}\n", folder: folder)
        #expect(quiet.status == 65 && quiet.errors == "", "\(quiet.errors)")
        #expect(try await ToolRun.run("ev-route", ["-q", "--log-level", "info", "-o", "a.*=-"]).status == 64)
    }

    @Test func `The help begins with what one needs first`() async throws {
        let help = try await ToolRun.run("tg-send", ["--help"])
        #expect(help.status == 0)
        let titles = help.lines.filter { $0.hasSuffix(":") && $0 == $0.uppercased() && $0.first?.isLetter == true }
        #expect(titles.first.map { ["ARGUMENTS:", "SENDING ONE MESSAGE:"].contains($0) } == true, "\(titles)")
        #expect(titles.last == "READING FROM A QUEUE:", "\(titles)")
    }

    @Test(arguments: [
        (["media-fetch"], "  tg-listen --bot | tg-gate | media-fetch --concurrency 4 | blob-put | tg-send"),
        (["msg-store", "plan"], "  msg-store plan @durov -1001234567890 | tg-history --session a | msg-store load"),
        (["tg-listen"], "  tg-listen --bot | tg-gate --admin 42"),
        (["tg-gate"], "  tg-listen --bot | tg-gate --admin 42 | media-fetch | blob-put | tg-send"),
        (["tg-call"], #"  tg-call messages.getHistory '{"peer": "@telegram"}' | jq -r '.messages[].message'"#),
    ])
    func `Each example of the help is on one line, however long it is`(_ words: [String], _ line: String) async throws {
        let help = try await ToolRun.run(words[0], Array(words.dropFirst()) + ["--help"])
        #expect(help.lines.contains(line), "\(help.output)")
        let title = try #require(help.lines.firstIndex { $0 == "Examples:" || $0 == "Example:" })
        #expect(help.lines[title + 1].hasPrefix("  "))
    }

    @Test(arguments: [
        ("tgpipe", ["docter"], "did you mean doctor?"), ("tgpipe", ["send"], "did you mean tg-send?"),
        ("tgpipe", ["xyzzy"], "there is no tool 'xyzzy'; 'tgpipe --help' lists all"),
        ("ev-queue", ["psuh", "jobs"], "there is no command 'psuh'; did you mean push?"),
        ("msg-store", ["plan", "--al"], "unknown option '--al'"), ("msg-store", ["plan", "-x"], "unknown option '-x'"),
        ("tgpipe-doctor", ["settngs"], "settings"),
        ("tg-send", ["-x", "hi"], "unknown option '-x'"), ("ratelimit", ["-k"], "unknown option '-k'"),
        ("tg-send", ["--chatt", "42", "x"], "unknown option '--chatt'; did you mean --chat?"),
        ("ev-queue", ["peek", "jobs", "--ded"], "unknown option '--ded'; did you mean --dead?"),
        ("tg-send", ["--chat", "42", "--schedule", "25:00", "x"], "--schedule"),
    ])
    func `A mistyped word is refused with what may have been meant`(
        _ tool: String, _ arguments: [String], _ words: String
    ) async throws {
        let result = try await ToolRun.run(tool, arguments)
        #expect(result.status == 64 && result.errors.contains(words), "\(result.status) \(result.errors)")
        #expect(result.errors.hasPrefix("\(tool): error: ") && result.output == "")
    }

    @Test(arguments: [
        (
            "tg-send", ["--chat", "42", "--button", "no link", "x"],
            "--button <button>  Put a button that opens a link below"
        ),
        ("ev-replay", ["--speed", "fast", "x"], "--speed <factor>  The speed: 1 as recorded"),
        ("ratelimit", ["-w", "soon"], "-w <duration>  The window: 500ms"),
    ])
    func `A value that an option does not take is refused with the help of the option`(
        _ tool: String, _ arguments: [String], _ help: String
    ) async throws {
        let result = try await ToolRun.run(tool, arguments)
        let lines = result.errors.split(separator: "\n")
        #expect(result.status == 64 && lines.count == 3, "\(result.errors)")
        #expect(
            lines[0].contains("is invalid for '") && lines[1].hasPrefix("  \(help.replacing("  ", with: " "))"),
            "\(lines)")
    }

    @Test func `Each tool is listed with what it is for, and a mistake leads to the help of its command`() async throws
    {
        let usage = try await ToolRun.run("tgpipe", ["--help"])
        for name in try await ToolRun.run("tgpipe", ["--tools"]).lines {
            let line = try #require(usage.lines.first { $0.hasPrefix("  \(name) ") })
            #expect(line.split(separator: " ").count > 3, "\(line)")
        }
        #expect(try await ToolRun.run("msg-store", ["plan"]).errors.hasSuffix("See 'msg-store plan --help'.\n"))
        #expect(try await ToolRun.run("tg-send", ["x", "y"]).errors.hasSuffix("See 'tg-send --help'.\n"))
    }

    @Test(arguments: [("media-fetch", "--sxip-all"), ("tg-send", "--chap-name"), ("ev-queue", "--everything")])
    func `An option that is like no other gets no suggestion`(_ tool: String, _ option: String) async throws {
        let result = try await ToolRun.run(tool, [option])
        #expect(result.errors.contains("unknown option '\(option)'\n"), "\(result.errors)")
    }

    @Test func `A chat of msg-store may be an id that begins with a minus sign`() async throws {
        let folder = try TemporaryFolder()
        let plan = try await ToolRun.run("msg-store", ["plan", "@durov", "-1001234567890"], folder: folder)
        let marked = try await ToolRun.run("msg-store", ["plan", "--", "@durov", "-1001234567890"], folder: folder)
        #expect(marked.lines.count == 2, "\(marked.errors)")
        #expect(plan.status == 0, "\(plan.errors)")
        #expect(plan.lines.count == 2 && plan.output.contains("-1001234567890"), "\(plan.output)")
    }
}
