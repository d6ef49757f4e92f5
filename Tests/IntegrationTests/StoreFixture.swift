import Envelope
import Foundation
import JSON
import Payloads
import TestSupport

/// Provides an archive in a database of its own, and runs msg-store on it.
struct StoreFixture {
    enum Database: String, CaseIterable, Sendable {
        case postgres
        case sqlite
    }

    let kind: Database
    let folder: TemporaryFolder
    let server: PostgresServer?
    let name: String
    let address: String
    /// Variables for the tools besides the database.
    var environment: [String: String] = [:]

    /// - Parameter server: a server of the test's own; by default tests share one.
    init(_ kind: Database, server: PostgresServer? = nil) throws {
        self.kind = kind
        folder = try TemporaryFolder()
        switch kind {
        case .postgres:
            let used = try server ?? PostgresServer.shared.get()
            self.server = used
            name = try used.makeDatabase()
            address = used.address(name)
        case .sqlite:
            self.server = nil
            name = ""
            address = folder("archive.sqlite")
        }
    }

    private var variables: [String: String] {
        environment.merging(["TGPIPE_DB": address, "TGPIPE_LOG": "json:info"]) { own, _ in own }
    }

    func start(_ arguments: String...) throws -> ToolRun {
        try ToolRun("msg-store", arguments, environment: variables, folder: folder)
    }

    @discardableResult
    func run(_ arguments: String..., input: [String] = []) async throws -> ToolRun.Result {
        try await ToolRun.run(
            "msg-store", arguments, input: input.map { "\($0)\n" }.joined(), environment: variables, folder: folder)
    }

    /// Runs a statement, and returns what it prints: lines of fields with `|` between them.
    @discardableResult
    func query(_ sql: String) throws -> String {
        if let server { return try server.query(name, sql) }
        var text = try SpawnedProgram.output(of: ["sqlite3", address, sql])
        while text.last == "\n" { text.removeLast() }
        return text
    }

    /// Takes the archive back to an earlier version.
    func downgrade(to version: Int) throws {
        let added = [
            4: ["DROP TABLE media", "DROP TABLE media_uses"], 3: ["DROP TABLE losses"],
            2: [
                "DROP INDEX chats_username", "DROP INDEX failures_chat", "ALTER TABLE chats DROP COLUMN comments_of_id",
            ],
        ]
        for (_, statements) in added.filter({ $0.key > version }).sorted(by: { $0.key > $1.key }) {
            for statement in statements { try query(statement) }
        }
        try query("UPDATE tgpipe_archive SET version = \(version)")
    }

    /// Everything that the archive holds, besides the ranges, and the times at which chats and users were told of.
    func contents() throws -> String {
        let queries = [
            "SELECT * FROM messages ORDER BY chat_id, message_id, owner_id",
            "SELECT * FROM versions ORDER BY chat_id, message_id, owner_id, edited_at",
            "SELECT * FROM deletions ORDER BY owner_id, message_id",
            "SELECT * FROM counters ORDER BY chat_id, message_id, owner_id, counted_at",
            "SELECT chat_id, owner_id, type, title, username, newest_id, total FROM chats ORDER BY chat_id, owner_id",
            "SELECT user_id, first_name, last_name, username FROM users ORDER BY user_id",
            "SELECT id, chat_id, message_id, owner_id, reason FROM failures ORDER BY id",
        ]
        return try queries.map { try query($0) }.joined(separator: "\n--\n")
    }

    /// Returns the spans that `plan` asks for, besides the messages after the highest known one.
    func planned(_ chat: String = "--all") async throws -> [String] {
        try await run("plan", chat, "--holes-only").envelopes().map { command in
            "\(command.payload["from_id"]?.int ?? 0)-\(command.payload["to_id"]?.int ?? 0)"
        }
    }
}

/// Makes the events of chats.
struct StoreEvents {
    static let channel: Int64 = -1_001_234_567_890
    var chat = channel
    var type = "channel"
    var account: Int64 = 77

    private var chatJSON: String { #"{"id":\#(chat),"title":"News","username":"some_news","type":"\#(type)"}"# }
    private var owner: Int64 { ["channel", "supergroup"].contains(type) ? 0 : account }

    /// - Parameter second: the time of the event, after a fixed one.
    private func event(_ type: String, _ payload: String, at second: Int64) -> String {
        let time = Timestamp(microseconds: (1_795_262_400 + second) * 1_000_000)
        return #"{"id":"\#(UUID().uuidString.lowercased())","type":"\#(type)","version":1,"#
            + #""correlation_id":"0191e0a0-0000-7000-8000-000000000001","timestamp":"\#(time)","#
            + #""payload":\#(payload),"meta":{"account":{"id":\#(account),"username":"reader"}}}"#
    }

    /// - Parameter fields: further members of the message, each with a comma before it.
    func message(
        _ id: Int64, _ text: String = "hello", edited: Int64? = nil, pts: Int64 = 5, views: Int64? = nil,
        at second: Int64 = 0, fields: String = "", isLive: Bool = false
    ) -> String {
        let key = type == "channel" ? "channel_post" : "message"
        let kind = isLive && edited != nil ? "edited_\(key)" : key
        let edit = edited.map { #","edit_date":\#(1_790_000_000 + $0)"# } ?? ""
        let from = type == "channel" ? "" : #","from":{"id":9,"is_bot":false,"first_name":"Ann"}"#
        let body =
            #"{"message_id":\#(id),"chat":\#(chatJSON),"date":\#(1_790_000_000 + id)\#(edit)\#(from)"#
            + #","text":\#(JSON.string(text).text)\#(fields)}"#
        let counters = views.map { #","counters":{"views":\#($0),"forwards":1}"# } ?? ""
        let update = isLive ? #""update_id":\#(id),"# : ""
        return event(
            isLive ? "events.telegram.raw" : "events.telegram.message",
            #"{\#(update)"\#(kind)":\#(body)\#(counters),"pts":\#(pts)}"#, at: second)
    }

    func range(
        _ from: Int64, _ to: Int64, _ ids: [Int64], newest: Int64? = nil, pts: Int64? = nil, at second: Int64 = 0
    ) -> String {
        let position = pts.map { #","pts":\#($0)"# } ?? ""
        let found = MessageIDDigest(ids)
        let newest = newest.map { #","newest_id":\#($0)"# } ?? ""
        return event(
            "events.telegram.history_range",
            #"{"account_id":\#(account),"owner_id":\#(owner),"chat":\#(chatJSON),"from_id":\#(from),"to_id":\#(to),"#
                + #""count":\#(found.count),"checksum":"\#(found.checksum)"\#(newest)\#(position)}"#, at: second)
    }

    func deletion(_ ids: [Int64], at second: Int64, namesChat: Bool = true) -> String {
        let chat = namesChat ? #""chat":\#(chatJSON),"# : ""
        return event(
            "events.telegram.raw", #"{"update_id":1,"deleted_messages":{\#(chat)"message_ids":\#(ids)}}"#, at: second)
    }

    func hole(from: Int64, to: Int64? = nil, pts: Int64? = nil, at second: Int64) -> String {
        let position = pts.map { #","pts":\#($0)"# } ?? ""
        let end = to.map { #","to_id":\#($0)"# } ?? ""
        return event(
            "events.telegram.history_hole",
            #"{"account_id":\#(account),"owner_id":\#(owner),"chat_id":\#(chat),"from_id":\#(from)\#(end),"#
                + #""reason":"the difference is too long"\#(position)}"#, at: second)
    }

    /// A history as it is read: pages of 100 messages from the newest on, each with the range that it proves.
    func history(_ ids: [Int64], at second: Int64 = 0) -> [String] {
        var lines: [String] = []
        var upper = ids.last ?? 0
        var rest = ids[...]
        while !rest.isEmpty {
            let page = rest.suffix(100)
            rest = rest.dropLast(page.count)
            for id in page.reversed() { lines.append(message(id, "text \(id)", views: id, at: second)) }
            let lower = rest.isEmpty ? 1 : page.first ?? 1
            lines.append(range(lower, upper, Array(page), newest: upper == ids.last ? upper : nil, at: second))
            upper = lower - 1
        }
        return lines
    }
}
