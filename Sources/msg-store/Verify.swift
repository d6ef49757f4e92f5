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
            'plan' asks for what is missing.

            Examples: msg-store verify && echo complete
                      msg-store verify --json | jq 'select(.complete | not)'
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Argument(help: "The chats: @name, https://t.me/name, or an id. Default: all.") var chats: [String] = []

    @Flag(help: "Print one line of JSON for each chat.") var json = false

    func validate() throws { for chat in chats { _ = try ChatName(chat) } }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime)
        let names = try chats.map { try ChatName($0) }
        let inspections = try await BlockingThread.reading { () -> [ChatInspection] in
            let reader = try ArchiveReader(address, name: MsgStore.toolName)
            return try reader.snapshot {
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
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        let incomplete = inspections.filter { !$0.isComplete }
        if json {
            for inspection in inspections { try await output.write(inspection.json.bytes + [UInt8(ascii: "\n")]) }
        } else {
            for inspection in incomplete { try await output.write(Array((inspection.text + "\n").utf8)) }
            let messages = inspections.reduce(0) { $0 + $1.messages }
            let summary =
                incomplete.isEmpty
                ? "nothing is missing" : "\(incomplete.count) incomplete"
            let counted = "\(inspections.count) chat\(inspections.count == 1 ? "" : "s"), \(messages) messages"
            try await output.write(Array("\(counted): \(summary)\n".utf8))
        }
        return incomplete.isEmpty ? .success : .no
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
            lines.append("  in \(fault.span.text): \(fault.stored) messages instead of \(fault.expected)")
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
            "username": username.map { .string($0) }, "complete": .bool(isComplete), "messages": .integer(messages),
            "top_id": .integer(top), "missing_ids": .integer(missingIDs), "holes": .array(holes.map(\.json)),
            "faults": .array(
                faults.map { fault in
                    .object([
                        "from_id": .integer(fault.span.from), "to_id": .integer(fault.span.to),
                        "expected": .integer(fault.expected), "stored": .integer(fault.stored),
                    ])
                }), "outdated": .array(outdated.map(\.json)), "lost_from_id": openFrom.map { .integer($0) },
            "failures": .array(failures.map { .integer($0) }),
        ])
    }
}

extension IDSpan {
    var json: JSON { .object(["from_id": .integer(from), "to_id": .integer(to)]) }
}
