import ArgumentParser
import Archive
import JSON
import Options
import Stage
import System

struct Export: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write messages as NDJSON or CSV.",
        discussion: """
            Writes one message a line, by chat and in the order of the ids. A group that became a supergroup is one history: \
            its older half comes first. With NDJSON, 'message' is the message as Telegram's Bot API has it.

            Examples: msg-store export --chat @durov --since 2026-01-01 | jq -r .text
                      msg-store export --format csv > all.csv
                      msg-store export --search 'free speech'
                      msg-store export --counters --chat @durov --format csv
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Option(
        name: .customLong("chat"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A chat: @name, https://t.me/name, or an id; may be repeated. Default: all.", valueName: "chat"))
    var chats: [String] = []

    @Option(help: ArgumentHelp("The form: ndjson or csv.", valueName: "form"))
    var format: ArchiveExport.Format = .ndjson

    @Option(help: ArgumentHelp("Leave out messages before this time.", valueName: "time"))
    var since: PointInTime?

    @Option(help: ArgumentHelp("Leave out messages from this time on.", valueName: "time"))
    var until: PointInTime?

    @Option(
        help: ArgumentHelp(
            "Only messages with all of these words; needs 'index --search'. SQLite takes a query of FTS5.",
            valueName: "words"))
    var search: String?

    @Flag(help: "Leave out messages that were deleted.") var withoutDeleted = false

    @Flag(
        help:
            "Write the views, forwards, replies and reactions over time instead, which 'load --counters' has kept. --since and --until are then times at which they were told."
    )
    var counters = false

    func validate() throws {
        for chat in chats { _ = try ChatName(chat) }
        guard !counters || (search == nil && !withoutDeleted) else {
            throw ValidationError("--search and --without-deleted do not go with --counters")
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime)
        let names = try chats.map { try ChatName($0) }
        var query = ArchiveExport(format: format, contents: counters ? .counters : .messages)
        (query.since, query.until, query.search) = (since?.seconds, until?.seconds, search)
        query.includesDeleted = !withoutDeleted
        let export = query
        let shutdown = runtime.shutdown
        try await BlockingThread.oncePassingErrors {
            let output = try BlockOutput(shutdown)
            let reader = try ArchiveReader(address, name: MsgStore.toolName)
            try reader.snapshot {
                let chats = try Export.selected(try reader.chats(), names)
                try export.run(reader, chats, write: output.write)
                try output.finish()
            }
        }
        return .success
    }

    /// Returns the chats in the order of the output: the older half of a group directly before the supergroup that it became.
    static func selected(
        _ known: [ArchiveReader.KnownChat], _ names: [ChatName]
    ) throws -> [ArchiveReader.KnownChat] {
        for name in names where !known.contains(where: name.fits) {
            throw ArchiveError(.no, "\(name.chat): the archive has nothing of this chat")
        }
        let wanted = names.isEmpty ? known : known.filter { chat in names.contains { $0.fits(chat) } }
        var ordered: [ArchiveReader.KnownChat] = []
        var done: Set<ChatKey> = []
        func add(_ chat: ArchiveReader.KnownChat) {
            guard !done.contains(chat.key) else { return }
            done.insert(chat.key)
            for older in known where older.key.chatID == chat.migratedFrom { add(older) }
            ordered.append(chat)
        }
        // Supergroups first, so that their older halves come with them.
        for chat in wanted where chat.migratedFrom != nil { add(chat) }
        for chat in wanted { add(chat) }
        return ordered
    }
}

extension ArchiveExport.Format: ExpressibleByArgument {}
