import ArgumentParser
import Envelope
import Glibc
import JSON
import LogStore
import Options
import Stage
import System

struct Trace: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show what happened to one request, in all tools.",
        discussion: """
            Shows the spans and the log lines of a request on one time line, with its waits, its attempts and its first error. \
            --html writes a page that needs nothing else and can be attached to a bug report.

            Examples: ev-log trace 019a3c
                      ev-log trace -1001234567890:42
                      ev-log trace 019a3c --html > request.html
                      ev-log trace 019a3c --json | jq .first_error
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var store: LogStoreOptions

    @Argument(
        help: "A correlation id or its beginning; or the reply's message: its link (https://t.me/…), or CHAT:MESSAGE.")
    var request: RequestArgument

    @Flag(help: "Print one JSON object.") var json = false

    @Flag(help: "Print a page of HTML.") var html = false

    func validate() throws {
        guard !json || !html else { throw ValidationError("--json and --html exclude each other") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let folder = try store.existingFolder(runtime)
        let (request, json, html) = (request, json, html)
        try await BlockingThread.oncePassingErrors {
            let reader = LogReader(folder)
            let id = try Trace.find(request, reader)
            guard let trace = try RequestTrace(id, reader) else { throw Trace.unknown(request) }
            let output = try LineOutput(endpoint: "-")
            let text =
                json
                ? trace.json.text + "\n"
                : html
                    ? TraceHTML(trace: trace).page
                    : TraceText(trace: trace, view: LineView(for: STDOUT_FILENO)).text
            try Array(text.utf8).withUnsafeBytes { bytes in try Result { try output.write(bytes) }.get() }
        }
        return .success
    }

    /// Returns the one request that is meant.
    private static func find(_ request: RequestArgument, _ reader: LogReader) throws -> EventID {
        guard let prefix = try request.prefix(reader) else { throw unknown(request) }
        let most = 5
        let found = try reader.correlations(prefix, limit: most + 1)
        guard let first = found.first else { throw unknown(request) }
        guard found.count == 1 else {
            let names = found.prefix(most).map(\.description).joined(separator: ", ")
            throw ToolError(
                .usage,
                "\(request.text.printable) is the beginning of several ids: \(names)\(found.count > most ? ", …" : "")")
        }
        return first
    }

    private static func unknown(_ request: RequestArgument) -> ToolError {
        ToolError(.no, "the log store has nothing about the request \(request.text.printable)")
    }
}
