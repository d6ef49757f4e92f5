import ArgumentParser
import JSON
import Logging
import LogStore
import Options
import Stage
import System

struct ImportLines: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Store log lines of any program: NDJSON, or what journalctl -o json prints.",
        discussion: """
            Reads files, or standard input. Keys that other programs use for the time, the level, the program and the message are \
            recognised; a line without a time gets the present one. Passwords in URLs, tokens of bots, phone numbers and long keys \
            are removed.

            Examples: journalctl -u 'tgpipe-*' -o json | ev-log import
                      ev-log import --tool nginx access.ndjson
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var store: LogStoreOptions
    @OptionGroup var retention: RetentionOptions

    @Argument(help: "The files; - for standard input.") var files: [String] = ["-"]

    @Option(help: ArgumentHelp("The tool's name where a line has none.", valueName: "name"))
    var tool: String = "import"

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let folder = try store.folder(runtime)
        let (files, tool, limits) = (files, tool, retention.limits)
        let counts = try await BlockingThread.oncePassingErrors { () -> (stored: Int, tooLong: Int) in
            try makeDirectory(folder.path, mode: 0o700)
            let writer = try LogWriter(folder, kind: "import", limits: limits)
            var counts = (stored: 0, tooLong: 0)
            for file in files {
                let reader = LineReader(
                    endpoint: file, maxLineBytes: FolderIntake.longestLine, shutdown: runtime.shutdown)
                while let outputs = try reader.next() {
                    for output in outputs { try ImportLines.add(output, to: writer, tool: tool, &counts) }
                    if writer.pending >= 1000 { try writer.commit() }
                }
            }
            try writer.close()
            return counts
        }
        runtime.log.info("stored lines", metadata: ["lines": .stringConvertible(counts.stored)])
        return counts.tooLong > 0 ? .malformedInput : .success
    }

    private static func add(
        _ output: LineSplitter.Output, to writer: LogWriter, tool: String, _ counts: inout (stored: Int, tooLong: Int)
    ) throws {
        switch output {
        case .lines(let block):
            for line in block.lines {
                try line.withBytes { bytes in try Result { try writer.add(bytes, tool: tool) }.get() }
                counts.stored += 1
            }
        case .tooLong(let prefix, _):
            try writer.addMalformed(prefix.prefix(1000), "it has more than 1 MiB", tool: tool)
            counts.tooLong += 1
        }
    }
}
