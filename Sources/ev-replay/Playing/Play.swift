import ArgumentParser
import Envelope
import JSON
import Logging
import Options
import Stage
import System

struct Play: ReplayCommand {
    static let configuration = CommandConfiguration(
        commandName: "play",
        abstract: "Write the events of a recording at the pace at which they came. The default command.",
        discussion: """
            The pace is that of FILE.times, which 'ev-replay record' writes, or else that of the events' timestamps. Events because \
            of which a stage speaks to Telegram (commands.telegram.*, what tg-send shows, and commands for a file in Telegram) are \
            refused: see --dry-run, --skip-live and --live.

            Examples: ev-replay --speed max --type 'events.telegram.#' updates.ndjson | tg-gate
                      ev-replay --correlation 0191e0a0 --new-ids --seed 7 run.ndjson --to queue:jobs
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The recording: a file, or - for standard input.") var file: String

    @Option(
        help: ArgumentHelp(
            "The speed: 1 as recorded, 10 ten times faster, max without waiting.", valueName: "factor"))
    var speed: ReplaySpeed = .factor(1)

    @Option(
        help: ArgumentHelp(
            "Replay the requests whose correlation id begins so. May be repeated. Default: all.", valueName: "id"))
    var correlation: [CorrelationPrefix] = []

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Replay events of these types. May be repeated. Default: all.", valueName: "pattern"))
    var type: [TopicPattern] = []

    @Option(
        help: ArgumentHelp(
            "Replay events that were recorded with this --edge. May be repeated. Default: all.", valueName: "name"))
    var edge: [String] = []

    @Option(
        help: ArgumentHelp(
            "Begin at this time (RFC 3339), or this long after the first event (90s).", valueName: "time"))
    var from: Moment?

    @Option(help: ArgumentHelp("End before this time, written as for --from.", valueName: "time"))
    var until: Moment?

    @Option(help: ArgumentHelp("Shorten longer gaps between events to this, before --speed.", valueName: "duration"))
    var maxGap: Span = Span(.seconds(3600))

    @Flag(help: "Replace all ids; events that belong together still do.") var newIds = false

    @Option(help: ArgumentHelp("Select the new ids: the same number gives the same ids.", valueName: "number"))
    var seed: UInt64?

    @Flag(help: "Move all times, so that the first event has the present time.") var rebaseTime = false

    @Flag(help: "Ignore FILE.times; the timestamps of the events set the pace.") var ignoreTimes = false

    @Flag(help: "Replay the events because of which a stage speaks to Telegram, too.") var live = false

    @Flag(help: "Leave out the events because of which a stage speaks to Telegram.") var skipLive = false

    @Flag(help: "Replay nothing, and list the events as lines of JSON; live marks those that need --live.")
    var dryRun = false

    @Option(help: ArgumentHelp("The longest line accepted, from 1K to 1G.", valueName: "size"))
    var maxLine: ByteSize = ByteSize(8 << 20)

    func validate() throws {
        guard !(live && skipLive) else { throw ValidationError("--live and --skip-live exclude each other") }
        guard seed == nil || newIds else { throw ValidationError("--seed is for --new-ids") }
        guard (1024...(1 << 30)).contains(maxLine.bytes) else {
            throw ValidationError("--max-line must be from 1K to 1G")
        }
        guard edge.isEmpty || !ignoreTimes else {
            throw ValidationError("--edge needs the file of times, which --ignore-times leaves out")
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        if dryRun { return try await list(runtime) }
        if Recording.isFile(file), !live, !skipLive { try await refuseLive(runtime) }
        let output = try await EventOutput(output, runtime: runtime)
        let player = Player(plan: self, recording: try recording(runtime), output: output, runtime: runtime)
        try await player.run()
        return .success
    }

    var selection: Selection {
        Selection(correlations: correlation, types: type, edges: Set(edge), from: from, until: until)
    }

    func recording(_ runtime: Runtime) throws -> Recording {
        let times = Recording.timesPath(of: file)
        let hasTimes = !ignoreTimes && Recording.isFile(file) && Recording.isFile(times)
        guard edge.isEmpty || hasTimes else {
            throw ToolError(.configuration, "--edge needs \(times.printable), which 'ev-replay record' writes")
        }
        return Recording(
            path: file, times: hasTimes ? times : nil, maxLineBytes: Int(maxLine.bytes), shutdown: runtime.shutdown)
    }

    /// Reads the whole recording, and refuses it if events need `--live`: nothing has been replayed then.
    private func refuseLive(_ runtime: Runtime) async throws {
        var counts: [String: Int] = [:]
        let reading = SelectedEvents(try recording(runtime), selection)
        while let batch = try await reading.next() {
            for event in batch.events where event.speaksToTelegram { counts[event.type, default: 0] += 1 }
        }
        guard !counts.isEmpty else { return }
        throw Play.refusal(counts)
    }

    /// Makes the error for events that need `--live`.
    static func refusal(_ counts: [String: Int]) -> ToolError {
        let types = counts.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
        let shown = types.prefix(5).joined(separator: ", ") + (types.count > 5 ? ", …" : "")
        return ToolError(
            .no,
            "refused to replay events because of which a stage speaks to Telegram (\(shown.printable)): give --live to replay"
                + " them, --skip-live to leave them out, --dry-run to see them")
    }

    private func list(_ runtime: Runtime) async throws -> ExitStatus {
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        let reading = SelectedEvents(try recording(runtime), selection)
        var pace = Pace(speed: 1, maxGap: maxGap.duration)
        var counts: (all: Int, live: Int) = (0, 0)
        while let batch = try await reading.next() {
            for refused in batch.refused { runtime.note(refused) }
            var lines: [UInt8] = []
            for event in batch.events {
                let milliseconds = pace.due(event.time) / 1_000_000
                counts = (counts.all + 1, counts.live + (event.speaksToTelegram ? 1 : 0))
                JSON.object(event.json(milliseconds: milliseconds)).write(to: &lines)
                lines.append(UInt8(ascii: "\n"))
            }
            try await output.write(lines)
        }
        runtime.log.info("\(counts.all) events would be replayed; \(counts.live) of them need --live")
        return .success
    }
}

extension RecordedEvent {
    /// - Parameter milliseconds: the time since the first event.
    fileprivate func json(milliseconds: Int64) -> JSONObject {
        [
            "offset_ms": .integer(milliseconds), "type": .string(type), "id": id.map { .string($0) },
            "correlation_id": .string(correlationID), "edge": edge.map { .string($0) }, "live": .bool(speaksToTelegram),
        ]
    }
}
