import ArgumentParser
import Archive
import Envelope
import JSON
import Options
import Payloads
import Stage
import System

struct Media: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "media",
        abstract: "List the stored media that 'load' has noted, or ask for the removal of old ones.",
        discussion: """
            Writes one object a line as JSON, with the newest message that uses it. 'load' notes the objects of blob-put's \
            events, which it forwards. With --remove, writes a commands.blob.remove for each object instead, which \
            'blob-put --remove' carries out. An object that any message has used within --older-than stays.

            Examples: msg-store media --chat @durov | jq -r .key
                      msg-store media --older-than 90d --remove | blob-put --store s3://media --remove | msg-store load
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Option(
        name: .customLong("chat"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Only objects that messages of this chat use: @name, https://t.me/name, or an id; may be repeated.",
            valueName: "chat"))
    var chats: [String] = []

    @Option(help: ArgumentHelp("Only objects of this store, such as s3://media.", valueName: "store"))
    var store: String?

    @Option(help: ArgumentHelp("Leave out objects that were stored before this time.", valueName: "time"))
    var since: PointInTime?

    @Option(help: ArgumentHelp("Leave out objects that were stored from this time on.", valueName: "time"))
    var until: PointInTime?

    @Option(
        help: ArgumentHelp(
            "Only objects that no message has used for this time. With --chat, an object that another chat uses is left out.",
            valueName: "duration"))
    var olderThan: Span?

    @Flag(help: "List the objects that were removed, too.") var removed = false

    @Flag(help: "Write a commands.blob.remove for each object; needs --older-than.") var remove = false

    func validate() throws {
        for chat in chats { _ = try ChatName(chat) }
        guard !remove || olderThan != nil else {
            throw ValidationError("--remove needs --older-than, so that no object is removed that is still in use")
        }
        guard !remove || !removed else { throw ValidationError("--removed does not go with --remove") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime)
        let names = try chats.map { try ChatName($0) }
        var query = MediaLedger()
        (query.store, query.includesRemoved) = (store, removed)
        (query.since, query.until) = (since?.microseconds, until?.microseconds)
        query.unusedSince = olderThan.map { age in
            let now = Timestamp.now.microseconds
            return now - min(age.duration.components.seconds, now / 1_000_000) * 1_000_000
        }
        let (wanted, removes, shutdown) = (query, remove, runtime.shutdown)
        try await BlockingThread.oncePassingErrors {
            let output = try BlockOutput(shutdown)
            let reader = try ArchiveReader(address, name: MsgStore.toolName)
            try reader.snapshot {
                var ledger = wanted
                ledger.chats = try Media.ids(of: names, reader)
                try ledger.run(reader) { try output.write(Media.line($0, removes: removes)) }
                try output.finish()
            }
        }
        return .success
    }

    /// Returns the ids of chats. A chat of which the archive has no messages may be named by its id.
    private static func ids(of names: [ChatName], _ reader: ArchiveReader) throws -> Set<Int64> {
        guard !names.isEmpty else { return [] }
        let known = try reader.chats()
        var ids: Set<Int64> = []
        for name in names {
            if case .id(let id) = name.chat {
                ids.insert(id)
                continue
            }
            let found = known.filter(name.fits)
            guard !found.isEmpty else {
                throw ArchiveError(.no, "\(name.chat): the archive has nothing of this chat; give its id")
            }
            ids.formUnion(found.map(\.key.chatID))
        }
        return ids
    }

    private static func line(_ object: JSONObject, removes: Bool) -> [UInt8] {
        guard removes, let store = object["store"]?.string, let key = object["key"]?.string else {
            return JSON.object(object).bytes + [UInt8(ascii: "\n")]
        }
        return Envelope(RemoveBlob(store: store, key: key, sha256: object["sha256"]?.string)).line
    }
}
