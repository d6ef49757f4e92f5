import ArgumentParser
import Archive
import Envelope
import JSON
import Logging
import Options
import Payloads
import Stage
import System

struct Plan: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Write the commands that ask for what is missing.",
        discussion: """
            Writes commands.telegram.history for tg-history: one for the messages that are newer than all known ones, and one \
            for each hole; a long hole becomes several, so that several processes can share it. A chat that the archive does \
            not know is asked for as a whole. The archive is the only state: the same command, given again after an \
            interruption, asks for the rest.

            Examples: msg-store plan @durov -1001234567890 | tg-history --session a | msg-store load
                      msg-store plan --all --to queue:history
                      msg-store plan @durov --last 1000
                      msg-store plan --all --refresh-last 500
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("The chats: @name, https://t.me/name, or an id.", valueName: "chats"))
    var words: [String] = []

    /// The chats: all words but `--`, which may stand before them.
    private var chats: [String] { words.filter { $0 != "--" } }

    @Flag(help: "Plan for all chats that the archive knows.") var all = false

    @Option(
        help: ArgumentHelp(
            "Leave out messages before this time: a day such as 2026-01-31, or a time of RFC 3339.", valueName: "time"))
    var since: PointInTime?

    @Option(help: ArgumentHelp("Ask only for the newest messages of each chat.", valueName: "count"))
    var last: Int64?

    @Option(
        help: ArgumentHelp(
            "Ask again for this many known messages of each chat, from the newest on: for their views and reactions, and "
                + "for edits and deletions that nobody has told.", valueName: "count"))
    var refreshLast: Int64?

    @Option(help: ArgumentHelp("The account that is to read channels and groups. Default: any.", valueName: "id"))
    var account: Int64?

    @Option(help: ArgumentHelp("The number of ids that one command asks for at most.", valueName: "count"))
    var span: Int64 = 10_000

    @Flag(help: "Ask only for holes, and not for messages that are newer than all known ones.") var holesOnly = false

    func validate() throws {
        guard all != !chats.isEmpty else { throw ValidationError("name the chats, or give --all") }
        guard last ?? 1 > 0 else { throw ValidationError("--last must be 1 or more") }
        guard refreshLast ?? 1 > 0 else { throw ValidationError("--refresh-last must be 1 or more") }
        guard span > 0 else { throw ValidationError("--span must be 1 or more") }
        try ChatName.check(chats)
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let sink = try await EventOutput(output, runtime: runtime)
        let address = try database.address(runtime)
        let wanted = try chats.map { try ChatName($0) }
        let plan = plan
        let names = wanted.isEmpty ? nil : wanted
        let account = account
        let (commands, failures) = try await BlockingThread.oncePassingErrors {
            try Plan.commands(address, names, plan, account: account)
        }
        // One correlation for the whole plan would make one request of days of work: each command has its own.
        for command in commands { try await sink.write([Envelope(command)]) }
        if failures > 0 {
            runtime.log.notice(
                "\(failures) messages are not asked for again, because the database has refused them: msg-store replay has them"
            )
        }
        return .success
    }

    private var plan: HistoryPlan {
        var plan = HistoryPlan()
        plan.spanIDs = span
        plan.since = since.map { ($0.seconds, $0.text) }
        plan.last = last
        plan.asksForNew = !holesOnly
        plan.refreshed = refreshLast
        return plan
    }

    /// Returns the commands, and the number of events that the database has refused.
    private static func commands(
        _ address: ArchiveAddress, _ names: [ChatName]?, _ plan: HistoryPlan, account: Int64?
    ) throws -> ([HistoryCommand], failures: Int) {
        guard let reader = try ArchiveReader.ifExists(address, name: MsgStore.toolName) else {
            guard let names else { throw ArchiveError(.configuration, "\(address) has no archive yet: name the chats") }
            return (names.flatMap { plan.commands(forUnknown: $0.chat, accountID: account) }, 0)
        }
        return try reader.snapshot {
            let known = try reader.chats()
            var commands: [HistoryCommand] = []
            var failures = 0
            var done: Set<ChatKey> = []
            func add(_ chat: ArchiveReader.KnownChat, by name: ChatName? = nil) throws {
                guard done.insert(chat.key).inserted else { return }
                if chat.commentsOf != nil {
                    // No account could read it as a whole. Whoever names it wants to try again.
                    if names != nil { commands += plan.commands(forUnknown: .id(chat.key.chatID), accountID: account) }
                    return
                }
                let inspection = try reader.inspect(chat)
                failures += inspection.failures.count
                let asked = plan.commands(
                    for: inspection, floor: try reader.floor(of: plan, inspection),
                    refreshed: try plan.refreshed.map { try reader.id(ofNewest: $0, chat.key) ?? 1 },
                    accountID: account)
                // The name may be another chat's now, which only Telegram knows.
                commands += asked.map { name?.username == nil ? $0 : $0.named(chat.username) }
                for older in known where older.key.chatID == chat.migratedFrom { try add(older) }
            }
            guard let names else {
                for chat in known { try add(chat) }
                return (commands, failures)
            }
            for name in names {
                let found = known.filter { name.fits($0) && (account == nil || [0, account].contains($0.key.ownerID)) }
                for chat in found { try add(chat, by: name) }
                if found.isEmpty { commands += plan.commands(forUnknown: name.chat, accountID: account) }
            }
            return (commands, failures)
        }
    }
}

extension HistoryCommand {
    /// Returns the command for a chat that must still have this user name.
    fileprivate func named(_ username: String?) -> HistoryCommand {
        var command = self
        command.chatUsername = username
        return command
    }
}

extension ArchiveReader {
    /// Returns the lowest id that is wanted; nil for all.
    fileprivate func floor(of plan: HistoryPlan, _ inspection: ChatInspection) throws -> Int64? {
        var floors: [Int64] = []
        if let since = plan.since, let before = try newestID(of: inspection.chat, before: since.seconds) {
            floors.append(before + 1)
        }
        if let last = plan.last, let id = try id(ofNewest: last, inspection.chat) { floors.append(id) }
        return floors.max()
    }
}
