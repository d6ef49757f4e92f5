import ArgumentParser
import Archive
import Glibc
import JSON
import Options
import Stage
import System

struct Status: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how much there is of each chat, and what is left.",
        discussion: """
            Shows for each chat the number of messages, the time of the newest one, the share that is known of its ids, and \
            what is missing. The speed is measured during --measure; with it, the time until all is there is estimated.

            Examples: msg-store status
                      msg-store status --json | jq .missing_ids
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Argument(help: "The chats: @name, https://t.me/name, or an id. Default: all.") var chats: [String] = []

    @Flag(help: "Print one line of JSON for each chat.") var json = false

    @Option(help: ArgumentHelp("How long to measure the speed.", valueName: "duration"))
    var measure: Span = Span(.seconds(1))

    func validate() throws { for chat in chats { _ = try ChatName(chat) } }

    /// What is shown of a chat.
    fileprivate struct Line: Sendable {
        var inspection: ChatInspection
        var newest: Int64?
        var perSecond: Double
        /// The number of rows of the table `counters`.
        var counterRows: Int64
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime)
        let names = try chats.map { try ChatName($0) }
        let reader = try await BlockingThread.oncePassingErrors { try ArchiveReader(address, name: MsgStore.toolName) }
        let before = try await BlockingThread.oncePassingErrors { try reader.provenCounts() }
        _ = try await runtime.shutdown.interrupting { [measure] in try await Task.sleep(for: measure.duration) }
        let seconds = max(measure.duration / .seconds(1), 0.001)
        let lines = try await BlockingThread.oncePassingErrors {
            let after = try reader.provenCounts()
            return try reader.snapshot {
                let counters = try reader.counterRows()
                return try Export.selected(try reader.chats(), names).map { chat in
                    let new = (after[chat.key] ?? 0) - (before[chat.key] ?? 0)
                    return Line(
                        inspection: try reader.inspect(chat), newest: try reader.newestDate(of: chat.key),
                        perSecond: measure.duration == .zero ? 0 : Double(new) / seconds,
                        counterRows: counters[chat.key] ?? 0)
                }
            }
        }
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        let width = Linux.terminalColumns(STDOUT_FILENO)
        for line in lines {
            let text = json ? line.json.text : line.text(showsBar: width != nil)
            try await output.write(Array("\(text)\n".utf8))
        }
        return .success
    }
}

extension Status.Line {
    /// The share of the ids up to the highest that are known.
    fileprivate var known: Double {
        inspection.top == 0 ? 1 : 1 - Double(inspection.missingIDs) / Double(inspection.top)
    }

    /// The number of messages that are probably missing: ids without a message are as frequent in the holes as elsewhere.
    fileprivate var left: Int64 {
        let covered = inspection.top - inspection.missingIDs
        guard covered > 0 else { return inspection.missingIDs }
        let density = min(1, Double(inspection.messages) / Double(covered))
        return Int64((Double(inspection.missingIDs) * density).rounded())
    }

    fileprivate var until: Duration? {
        left > 0 && perSecond > 0 ? .milliseconds(Int64(min(Double(left) / perSecond, 1e9) * 1000)) : nil
    }

    private var newestText: String? {
        newest.map { Timestamp(milliseconds: min(max(0, $0), 253_402_300_799) * 1000).description }
    }

    fileprivate func text(showsBar: Bool) -> String {
        var words = ["\(inspection.name):", "\(inspection.messages) messages\(newestText == nil ? "" : ",")"]
        if let newestText { words.append("newest \(newestText.prefix(16)),") }
        if showsBar {
            let filled = Int((known * 20).rounded(.down))
            words.append("[\(String(repeating: "#", count: filled))\(String(repeating: ".", count: 20 - filled))]")
        }
        words.append("\((known * 1000).rounded(.down) / 10) %")
        if inspection.missingIDs > 0 {
            words.append("missing ids: \(inspection.missingIDs) (spans: \(inspection.holes.count))")
        }
        if let channel = inspection.commentsOf { words.append("comments on \(channel) only") }
        if counterRows > 0 { words.append("counters \(counterRows)") }
        if !inspection.failures.isEmpty { words.append("refused \(inspection.failures.count)") }
        if perSecond > 0 { words.append("\(Int(perSecond)) messages/s") }
        if let until { words.append("about \(until.spanText) left") }
        return words.joined(separator: " ")
    }

    fileprivate var json: JSON {
        .object([
            "chat_id": .integer(inspection.chat.chatID), "owner_id": .integer(inspection.chat.ownerID),
            "title": inspection.title.map { .string($0) }, "username": inspection.username.map { .string($0) },
            "messages": .integer(inspection.messages), "top_id": .integer(inspection.top),
            "newest": newestText.map { .string($0) }, "missing_ids": .integer(inspection.missingIDs),
            "holes": .array(inspection.holes.map(\.json)), "counters": .integer(counterRows),
            "failures": .integer(Int64(inspection.failures.count)),
            "messages_per_second": .number((perSecond * 10).rounded() / 10), "messages_left": .integer(left),
            "seconds_left": until.map { .integer($0.milliseconds / 1000) },
        ])
    }
}
