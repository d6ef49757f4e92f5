import ArgumentParser
import Envelope
import JSON
import Logging
import Options
import Payloads
import Stage
import System

struct Diff: ReplayCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Compare two recordings of the same work.",
        discussion: """
            Compares request by request and event by event, without ids, times and durations, and in any order of events. Prints \
            the differences, and exits with 1 if there are any. Progress is left out, because its number depends on the time.

            Example: ev-replay diff expected.ndjson results.ndjson
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Argument(help: "The recording with the expected events.") var expected: String

    @Argument(help: "The recording to check, or - for standard input.") var file: String

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Compare events of these types. May be repeated. Default: all.", valueName: "pattern"))
    var type: [TopicPattern] = []

    @Option(help: ArgumentHelp("Leave out fields of this name. May be repeated.", valueName: "key"))
    var ignore: [String] = []

    @Option(
        help: ArgumentHelp(
            "Compare fields of this name, which are left out by default. May be repeated.", valueName: "key"))
    var keep: [String] = []

    @Flag(help: "Compare progress, too.") var withProgress = false

    @Option(help: ArgumentHelp("The longest line accepted, from 1K to 1G.", valueName: "size"))
    var maxLine: ByteSize = ByteSize(8 << 20)

    func validate() throws {
        guard (1024...(1 << 30)).contains(maxLine.bytes) else {
            throw ValidationError("--max-line must be from 1K to 1G")
        }
        guard expected != "-" else { throw ValidationError("only the second recording can be standard input") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        let (old, new) = (try await requests(expected, runtime), try await requests(file, runtime))
        let comparison = Comparison(old, new)
        guard comparison.differing > 0 else {
            runtime.log.info("the recordings have the same \(old.count == 1 ? "request" : "\(old.count) requests")")
            return .success
        }
        let count = comparison.differing == 1 ? "one difference" : "\(comparison.differing) differences"
        let requests = max(old.count, new.count)
        let summary = "\(count) in \(requests == 1 ? "one request" : "\(requests) requests")"
        try await output.write(Array((comparison.lines + [summary]).joined(separator: "\n").utf8) + [0x0A])
        return .no
    }

    private func requests(_ path: String, _ runtime: Runtime) async throws -> [GoldenRequest] {
        var recording = GoldenRecording(GoldenRules(ignoring: ignore, keeping: keep))
        let parser = JSONParser()
        let reading = SelectedEvents(
            Recording(path: path, times: nil, maxLineBytes: Int(maxLine.bytes), shutdown: runtime.shutdown),
            Selection(types: type))
        while let batch = try await reading.next() {
            for refused in batch.refused { runtime.note(refused) }
            for event in batch.events where withProgress || !MediaProgress.types.contains(event.type) {
                let envelope = event.line.withBytes { bytes in
                    (try? parser.parse(bytes, padded: true)).flatMap { try? Envelope($0) }
                }
                if let envelope { recording.add(envelope) }
            }
        }
        try Task.checkCancellation()
        return recording.requests
    }
}
