import ArgumentParser
import Archive
import Options
import Stage
import System

struct Load: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Store the messages of tg-history and tg-listen.",
        discussion: """
            Reads events.telegram.message, events.telegram.raw, events.telegram.history_range and \
            events.telegram.history_hole, and forwards all other events unchanged. Of those, it notes the stored media that \
            'media' lists. The same events may come again, and in any \
            order. An event of a queue is acknowledged once it is committed. While the database is away, the input waits. An \
            event that the database refuses is set aside for 'replay'; the others are stored.

            Examples: msg-store plan --all | tg-history --session a | msg-store load --db postgresql:///archive
                      msg-store load --from queue:history --dead-letter dead.ndjson
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions

    @Option(
        help: ArgumentHelp(
            "How a new archive keeps the messages as they were written: text, jsonb, zstd or none. Default: text.",
            valueName: "form"))
    var raw: RawForm?

    @Flag(help: "Keep the views, forwards and reactions of messages over time, in the table counters.")
    var counters = false

    @Option(
        help: ArgumentHelp(
            "How many messages of a chat, from the newest on, are to be read again after tg-listen has missed updates, "
                + "since some may have been edited or deleted. Default: 5000.", valueName: "count"))
    var refreshLast: Int64 = 5000

    @Option(
        help: ArgumentHelp(
            "The file for events that the database refuses, besides the table failures. Default: "
                + "archive/failures.ndjson in the state folder.", valueName: "path"))
    var failures: String?

    func validate() throws {
        guard refreshLast >= 0 else { throw ValidationError("--refresh-last must be 0 or more") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime, makesFolder: true)
        var settings = ArchiveWriter.Settings(
            failuresPath: try failures ?? "\(runtime.stateFolder("archive"))/failures.ndjson")
        settings.rawForm = raw
        settings.keepsCounters = counters
        settings.refreshedMessages = refreshLast
        let writer = try await WriterThread(address, settings, runtime)
        // Opening the database has used much of the program and its libraries that storing does not.
        ProgramStart.releasePages()
        return try await Loading(runtime: runtime, input: input, output: output, writer: writer).run()
    }
}

extension RawForm: ExpressibleByArgument {}
