import ArgumentParser
import Archive
import Glibc
import Logging
import Options
import Process
import Stage
import System

struct Fetch: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Read the whole history of chats through accounts, and store what is missing.",
        discussion: """
            Runs 'msg-store plan', 'tg-history' and 'msg-store load' with a pipe between them, and ends with the status of the first \
            that failed. Given again after an interruption, it reads the rest; given later, what is new. Give the three programs \
            yourself for the options that are not listed here.

            Examples: msg-store fetch @durov --session me
                      msg-store fetch @durov --session me --last 1000
                      msg-store fetch @durov --session a --session b --comments && msg-store verify @durov
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("The chats: @name, https://t.me/name, or an id.", valueName: "chats"))
    var words: [String] = []

    /// The chats: all words but `--`, which may stand before them.
    private var chats: [String] { words.filter { $0 != "--" } }

    @Option(
        name: .customLong("session"),
        help: ArgumentHelp(
            "The name of an account's session; repeat it for several accounts. [env: TGPIPE_SESSION]", valueName: "name"
        ))
    var sessions: [String] = []

    @Option(
        help: ArgumentHelp(
            "Leave out messages before this time: a day such as 2026-01-31, or a time of RFC 3339.", valueName: "time"))
    var since: PointInTime?

    @Option(help: ArgumentHelp("Read only the newest messages of each chat.", valueName: "count"))
    var last: Int64?

    @Flag(help: "With a whole channel, also read the comments.") var comments = false

    @Flag(help: "Keep the views, forwards and reactions of messages over time, in the table counters.")
    var counters = false

    func validate() throws {
        guard !chats.isEmpty else { throw ValidationError("name the chats") }
        guard last ?? 1 > 0 else { throw ValidationError("--last must be 1 or more") }
        try ChatName.check(chats)
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        // A wrong address is told before anything is started.
        _ = try database.address(runtime, makesFolder: true)
        let pipeline = try FetchPipeline(commands)
        return try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
                group.addTask { await BlockingThread.once { pipeline.wait() } }
                group.addTask {
                    await runtime.shutdown.wait()
                    if runtime.shutdown.isRequested { pipeline.end() }
                    return nil
                }
                defer { group.cancelAll() }
                while let ended = try await group.next() { if let ended { return ended } }
                return .bug
            }
        } onCancel: {
            pipeline.end()
        }
    }

    /// The command lines of the three programs.
    var commands: [[String]] {
        var shared: [String] = []
        func add(_ name: String, _ value: String?, to words: inout [String]) {
            if let value { words += [name, value] }
        }
        add("--redis", common.redis, to: &shared)
        add("--state-dir", common.stateDir, to: &shared)
        add("--log-level", common.logLevel?.rawValue, to: &shared)
        add("--log-format", common.logFormat?.rawValue, to: &shared)
        shared += (common.quiet ? ["--quiet"] : []) + (common.verbose ? ["--verbose"] : [])
        var store: [String] = []
        add("--db", database.db, to: &store)
        var plan = ["msg-store", "plan"] + shared + store
        add("--since", since?.text, to: &plan)
        add("--last", last.map { "\($0)" }, to: &plan)
        let history =
            ["tg-history"] + shared + sessions.flatMap { ["--session", $0] } + (comments ? ["--comments"] : [])
        let load = ["msg-store", "load"] + shared + store + (counters ? ["--counters"] : [])
        return [plan + ["--"] + chats, history, load]
    }
}

/// Runs tools of this program with pipes between them.
struct FetchPipeline: Sendable {
    private let stages: [ChildProcess]

    /// The path of this program, which contains all tools.
    private static var program: String {
        guard let path = realpath("/proc/self/exe", nil) else { return "/proc/self/exe" }
        defer { free(path) }
        return String(cString: path)
    }

    /// Starts the stages, the first without an input.
    ///
    /// - Throws: `ToolError` (69) if one cannot be started; the others then end with their input or output.
    init(_ commands: [[String]]) throws(ToolError) {
        var stages: [ChildProcess] = []
        var input: Int32 = -1
        defer { if input >= 0 { close(input) } }
        for (number, arguments) in commands.enumerated() {
            let isLast = number == commands.count - 1
            do throws(ChildProcess.Failure) {
                let stage = try ChildProcess(
                    Command(FetchPipeline.program, arguments), input: input < 0 ? .null : .descriptor(input),
                    output: isLast ? .inherited : .pipe(isNonBlocking: false))
                if input >= 0 { close(input) }
                input = stage.takeOutput()
                stages.append(stage)
            } catch {
                throw ToolError(.unavailable, "unable to start \(arguments[0]): \(error)")
            }
        }
        self.stages = stages
    }

    /// Asks the stages that read to end; the last one stores what they have read.
    func end() { for stage in stages.dropLast() { stage.signal(SIGTERM) } }

    /// Blocks until all stages have ended.
    ///
    /// - Returns: the status of the first stage that failed. One that has lost its reader failed because of another.
    func wait() -> ExitStatus {
        let statuses = stages.map { stage -> ExitStatus in
            var ending: ChildProcess.Ending?
            while ending == nil { ending = stage.wait(atMost: .seconds(3600)) }
            guard case .exited(let status) = ending else { return .bug }
            return ExitStatus(rawValue: status) ?? .bug
        }
        let failed = statuses.filter { $0 != .success }
        return failed.first { $0 != .localIO } ?? failed.first ?? .success
    }
}
