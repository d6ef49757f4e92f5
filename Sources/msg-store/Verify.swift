import ArgumentParser
import Archive
import JSON
import Options
import Stage
import System

struct Verify: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Prove that nothing is missing, or name what is.",
        discussion: """
            Compares the ids of all messages with the ranges that tg-history has proven: from 1 to the highest id of each chat, \
            each id is in a range or is a message; each range has exactly the messages that it should have; no event waits for \
            'replay'. Prints what is missing by chat and ids, and exits with 1 if anything is. It asks nobody but the database: \
            'plan' asks for what is missing. With --online, tg-history also asks Telegram for the number of messages of each \
            chat, and for some of them again, chosen at random; whatever differs is named.

            Examples: msg-store verify && echo complete
                      msg-store verify --online --session a
                      msg-store verify --json | jq 'select(.complete | not)'
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("The chats: @name, https://t.me/name, or an id. Default: all.", valueName: "chats"))
    var words: [String] = []

    /// The chats: all words but `--`, which may stand before them.
    private var chats: [String] { words.filter { $0 != "--" } }

    @Flag(help: "Print one line of JSON for each chat.") var json = false

    @Flag(help: "Also compare the archive with what Telegram tells now.") var online = false

    @Option(
        name: .customLong("session"),
        help: ArgumentHelp(
            "With --online: the name of an account's session, as given to tg-session login; repeat it for several accounts. "
                + "[env: TGPIPE_SESSION]", valueName: "name"))
    var sessions: [String] = []

    @Option(
        help: ArgumentHelp(
            "With --online: the number of messages of each chat that are asked for again.", valueName: "count"))
    var sample: Int64 = 300

    func validate() throws {
        try ChatName.check(chats)
        guard online || sessions.isEmpty else { throw ValidationError("--session goes with --online") }
        guard (0...1_000_000).contains(sample) else {
            throw ValidationError("--sample must be from 0 to 1000000")
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime)
        let names = try chats.map { try ChatName($0) }
        let reader = try await BlockingThread.oncePassingErrors { try ArchiveReader(address, name: MsgStore.toolName) }
        let inspections = try await BlockingThread.oncePassingErrors { () -> [ChatInspection] in
            try reader.snapshot {
                let known = try reader.chats()
                // Nothing can be said to be complete that was never stored.
                if known.isEmpty {
                    throw ArchiveError(.no, "the archive is empty: 'msg-store plan @CHAT' begins to fill it")
                }
                for name in names where !known.contains(where: name.fits) {
                    throw ArchiveError(.no, "\(name.chat): the archive has nothing of this chat")
                }
                return try known.filter { chat in names.isEmpty || names.contains { $0.fits(chat) } }
                    .map { try reader.inspect($0) }
            }
        }
        let reports = try await differences(inspections, reader, runtime)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        let faulty = reports.filter { !$0.isGood }
        if json {
            for report in reports { try await output.write(report.json.bytes + [UInt8(ascii: "\n")]) }
        } else {
            for report in faulty { try await output.write(Array((report.text + "\n").utf8)) }
            try await output.write(Array((Verify.summary(reports) + "\n").utf8))
        }
        return faulty.isEmpty ? .success : .no
    }

    /// Returns what is to be reported of each chat.
    private func differences(
        _ inspections: [ChatInspection], _ reader: ArchiveReader, _ runtime: Runtime
    ) async throws -> [Report] {
        guard online else { return inspections.map { Report(inspection: $0) } }
        let check = OnlineCheck(sessions: sessions, stateFolder: common.stateDir, sample: sample)
        let answers = try await check.ask(inspections, reader, runtime)
        return try await BlockingThread.oncePassingErrors {
            try inspections.map { inspection in
                Report(
                    inspection: inspection,
                    difference: try OnlineDifference(inspection, answers[inspection.chat], reader))
            }
        }
    }

    private static func summary(_ reports: [Report]) -> String {
        let messages = reports.reduce(0) { $0 + $1.inspection.messages }
        let incomplete = reports.count { !$0.inspection.isComplete }
        var findings = [incomplete == 0 ? "nothing is missing" : "\(incomplete) incomplete"]
        let answers = reports.compactMap(\.difference)
        if !answers.isEmpty {
            let differing = answers.count { !$0.isNone }
            let compared = answers.reduce(0) { $0 + $1.compared }
            findings.append(
                differing == 0
                    ? "\(compared) messages are as Telegram has them" : "\(differing) not as Telegram has them")
        }
        let counted = "\(reports.count) chat\(reports.count == 1 ? "" : "s"), \(messages) messages"
        return "\(counted): \(findings.joined(separator: ", "))"
    }
}

/// Holds the findings about a chat, which are printed as text or as JSON.
private struct Report: Sendable {
    let inspection: ChatInspection
    /// Nil if Telegram was not asked.
    var difference: OnlineDifference?

    var isGood: Bool { inspection.isComplete && difference?.isNone ?? true }

    var text: String { ([inspection.text] + (difference?.lines ?? [])).joined(separator: "\n") }

    var json: JSON {
        guard let difference, var object = inspection.json.object else { return inspection.json }
        object["online"] = difference.json
        return .object(object)
    }
}

extension ChatInspection {
    private static let mostShown = 20

    fileprivate var text: String {
        var lines = ["\(name): \(messages) messages, up to \(top)"]
        if !holes.isEmpty {
            let shown = holes.prefix(Self.mostShown).map(\.text).joined(separator: ", ")
            let more = holes.count > Self.mostShown ? ", and \(holes.count - Self.mostShown) more spans" : ""
            lines.append("  missing: \(shown)\(more)")
        }
        for fault in faults.prefix(Self.mostShown) {
            let expected = fault.expected.map { "\($0)" } ?? "a number that is lost"
            lines.append("  in \(fault.span.text): \(fault.stored) messages instead of \(expected)")
        }
        if !outdated.isEmpty {
            let shown = outdated.prefix(Self.mostShown).map(\.text).joined(separator: ", ")
            let more = outdated.count > Self.mostShown ? ", and \(outdated.count - Self.mostShown) more spans" : ""
            lines.append("  to be read again, because updates were lost: \(shown)\(more)")
        }
        if let openFrom { lines.append("  updates were lost from \(openFrom) on") }
        if !failures.isEmpty {
            let shown = failures.prefix(Self.mostShown).map { "\($0)" }.joined(separator: ", ")
            lines.append("  refused by the database, see msg-store replay: \(shown)")
        }
        return lines.joined(separator: "\n")
    }

    var name: String {
        let owner = chat.ownerID == 0 ? "" : " of account \(chat.ownerID)"
        return "\(chat.chatID)\(owner)" + (title.map { " (\($0.printable))" } ?? "")
    }

    var json: JSON {
        .object([
            "chat_id": .integer(chat.chatID), "owner_id": .integer(chat.ownerID), "title": title.map { .string($0) },
            "username": username.map { .string($0) }, "comments_of_chat_id": commentsOf.map { .integer($0) },
            "complete": .bool(isComplete), "messages": .integer(messages),
            "top_id": .integer(top), "missing_ids": .integer(missingIDs), "holes": .array(holes.map(\.json)),
            "faults": .array(
                faults.map { fault in
                    .object([
                        "from_id": .integer(fault.span.from), "to_id": .integer(fault.span.to),
                        "expected": fault.expected.map { .integer($0) }, "stored": .integer(fault.stored),
                    ])
                }), "outdated": .array(outdated.map(\.json)), "lost_from_id": openFrom.map { .integer($0) },
            "failures": .array(failures.map { .integer($0) }),
        ])
    }
}

extension IDSpan {
    var json: JSON { .object(["from_id": .integer(from), "to_id": .integer(to)]) }
}
