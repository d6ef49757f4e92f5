import ArgumentParser
import Envelope
import JSON
import Logging
import Options
import Stage
import Synchronization
import System

struct Record: ReplayCommand {
    static let configuration = CommandConfiguration(
        commandName: "record",
        abstract: "Copy the events that pass through to a file, and keep the time of each.",
        discussion: """
            Appends to FILE and FILE.times, and forwards all events unchanged. Several recorders may write to one file: give each a \
            name with --edge. If the file cannot be written any more, the events are still forwarded, and the exit status is 74.

            Example: tg-gate < updates | ev-replay record run.ndjson --edge gate | ev-route -o '#=-'
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: LineInputOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The file to append to.") var file: String

    @Option(help: ArgumentHelp("The name of this place in the pipeline, for 'play --edge'.", valueName: "name"))
    var edge: String?

    @Flag(
        help: """
            Replace names, texts, links, phone numbers, tokens, and the ids of users and chats in the recording by pseudonyms. \
            The same value always has the same pseudonym.
            """)
    var redact = false

    @Option(
        help: ArgumentHelp(
            "A file with a secret that selects the pseudonyms; recorders with the same secret use the same ones. Default: a random secret. [env: TGPIPE_REDACT_KEY]",
            valueName: "path"))
    var redactKeyFile: String?

    func validate() throws {
        // The events of a queue belong to its workers.
        try input.refuseQueue("ev-queue tap to watch one")
        guard redact || redactKeyFile == nil else { throw ValidationError("--redact-key-file is for --redact") }
        if let edge {
            guard (1...100).contains(edge.utf8.count), !edge.unicodeScalars.contains(where: \.steersDisplay) else {
                throw ValidationError("--edge must be a name of 1 to 100 bytes without control characters")
            }
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let thread = BlockingThread()
        let redactor = try redact ? Redactor(key: redactKey()) : nil
        let recorder = try await thread.run { [file, edge] in
            Recorder(file: try RecordingFile(path: file, edge: edge), redactor: redactor, runtime: runtime)
        }
        let stream = try await EventStream(runtime: runtime, options: input.options, accepts: { _ in false })
        let output = try await EventOutput(output, runtime: runtime)
        while let batch = try await stream.next() {
            let lines = batch.map(\.line.bytes)
            await thread.run { recorder.record(lines) }
            try await output.write(Array(lines.joined(separator: [0x0A])) + [0x0A])
        }
        return recorder.hasFailed ? .localIO : .success
    }

    private func redactKey() throws -> [UInt8] {
        let name = "TGPIPE_REDACT_KEY"
        guard redactKeyFile != nil || Settings.environment(name) != nil else { return Redactor.randomKey() }
        return Array(try Settings.passphrase(name, file: redactKeyFile, what: "key of the pseudonyms").utf8)
    }
}

/// Records batches of lines until the file cannot be written any more.
private final class Recorder: Sendable {
    private let file: Mutex<RecordingFile?>
    private let redactor: Redactor?
    private let runtime: Runtime

    init(file: sending RecordingFile, redactor: Redactor?, runtime: Runtime) {
        self.file = Mutex(file)
        (self.redactor, self.runtime) = (redactor, runtime)
    }

    /// Is true if the recording is incomplete.
    var hasFailed: Bool { file.withLock { $0 == nil } }

    func record(_ lines: [[UInt8]]) {
        file.withLock { file in
            guard let open = file else { return }
            let now = open.now
            do throws(ToolError) {
                try open.append(redactor.map { redactor in lines.map(redactor.redacted) } ?? lines, at: now)
            } catch {
                file = nil
                runtime.log.error("\(error.message): the recording ends here, and the events are still forwarded")
            }
        }
    }
}
