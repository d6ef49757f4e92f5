import ArgumentParser
import Glibc
import JSON
import LogStore
import Options
import Stage
import System

struct Show: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Find lines of the log.",
        discussion: """
            Prints the lines that match all conditions, by time: on a terminal for reading, otherwise as they were written, a JSON \
            object a line. Several tools mean any of them; several texts must all occur.

            Examples: ev-log show --correlation 019a3c
                      ev-log show --level warning --since 1h
                      ev-log show --tool media-fetch -f 'no space'
                      ev-log show --since 2026-01-31T12:00:00Z | jq -r .message
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var store: LogStoreOptions

    @Argument(help: "Texts that a line must contain, in either case.") var texts: [String] = []

    @Option(
        help: ArgumentHelp(
            "A correlation id or its beginning; or the reply's message: its link (https://t.me/…), or CHAT:MESSAGE.",
            valueName: "id"))
    var correlation: RequestArgument?

    @Option(help: ArgumentHelp("A tool; may be repeated.", valueName: "name")) var tool: [String] = []

    @Option(help: ArgumentHelp("The lowest level.", valueName: "level")) var level: LineLevel = LineLevel(.trace)

    @Option(
        help: ArgumentHelp("Leave out lines before this time, or longer ago than this duration.", valueName: "time"))
    var since: PointInLog?

    @Option(
        help: ArgumentHelp("Leave out lines after this time, or newer than this duration.", valueName: "time"))
    var until: PointInLog?

    @Option(name: [.customShort("n"), .long], help: ArgumentHelp("Only the last lines, at most.", valueName: "count"))
    var last: Int?

    @Flag(name: .shortAndLong, help: "Wait for further lines, and print them.") var follow = false

    @Flag(help: "Print spans, too.") var spans = false

    func validate() throws {
        guard last ?? 1 > 0 else { throw ValidationError("--last must be 1 or more") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let folder = follow ? try store.folder(runtime) : try store.existingFolder(runtime)
        var query = LogQuery()
        query.kind = spans ? .both : .logs
        (query.tools, query.level, query.texts) = (tool, level.level, texts)
        (query.since, query.until) = (since?.time, until?.time)
        let (correlation, last, follow) = (correlation, last, follow)
        let ending = FollowingEnd()
        return try await withThrowingTaskGroup(of: Void.self) { [query] group in
            group.addTask {
                await runtime.shutdown.wait()
                ending.request()
            }
            defer { group.cancelAll() }
            let hasPrinted = try await BlockingThread.oncePassingErrors {
                var query = query
                let reader = LogReader(folder)
                if let correlation {
                    guard let prefix = try correlation.prefix(reader) else { return false }
                    query.correlation = prefix
                }
                return try Show.show(reader, query, last: last, follow: follow, until: ending)
            }
            return hasPrinted || follow ? .success : .no
        }
    }

    /// Prints lines on a thread that may block.
    ///
    /// - Returns: whether there were any.
    private static func show(
        _ reader: LogReader, _ query: LogQuery, last: Int?, follow: Bool, until ending: FollowingEnd
    ) throws -> Bool {
        let output = try OutputBuffer()
        let view = isatty(STDOUT_FILENO) == 1 ? LineView(for: STDOUT_FILENO) : nil
        var hasPrinted = false
        func write(_ line: StoredLine) throws {
            hasPrinted = true
            try output.add(view.map { Array($0.text(line).utf8) } ?? line.line)
        }
        // A line that is stored meanwhile is printed twice rather than left out; it cannot be: the position is taken first.
        if follow { try reader.skipToEnd() }
        if let last {
            for line in try reader.last(last, query) { try write(line) }
        } else if query.correlation != nil {
            for line in try reader.all(query) { try write(line) }
        } else if !follow || query.since != nil {
            try reader.forEach(query, write)
        }
        try output.flush()
        while follow, !ending.isRequested {
            try reader.next(query, write)
            try output.flush()
            pause(.milliseconds(100))
        }
        return hasPrinted
    }
}
