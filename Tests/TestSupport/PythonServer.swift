import Glibc
import HTTP
package import JSON

/// Runs a server of `Tests/Emulator` on a free port. The server ends with this object, and also if the tests are
/// killed.
package final class PythonServer: Sendable {
    /// The server's address, `http://127.0.0.1:PORT`.
    package let url: String
    private let program: SpawnedProgram
    /// The other end of the server's standard input; closing it ends the server.
    private let input: Int32
    private let client = HTTPClient()

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameter script: the script's path below `Tests/Emulator`.
    package init(script: String, _ arguments: [String]) throws {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Failure(description: "no descriptors left") }
        let words = try [
            "\(PythonTools.binFolder())/python", "\(testFolder)/Emulator/\(script)", "--port", "0", "--exit-with-stdin",
        ]
        do {
            // This end is closed before the wait for the greeting; otherwise the end of a failed script would go
            // unnoticed.
            defer { close(ends[1]) }
            program = try SpawnedProgram(words + arguments, descriptors: [ends[1], ends[1], 2])
        }
        var greeting: [UInt8] = []
        // An unbuffered Python writes the line in pieces.
        while greeting.last != UInt8(ascii: "\n") {
            var byte: UInt8 = 0
            guard recv(ends[0], &byte, 1, 0) == 1 else {
                throw Failure(description: "\(script) ended with \(program.wait())")
            }
            greeting.append(byte)
        }
        url = String(decoding: greeting.dropLast(), as: UTF8.self)
        input = ends[0]
    }

    deinit {
        close(input)
        program.wait()
    }

    /// Calls the emulator's control API and returns its result.
    @discardableResult
    package func call(_ method: String, _ path: String, _ body: JSON? = nil) async throws -> JSON {
        var request = HTTPRequest(method, url + path)
        if let body {
            request.headers = [("Content-Type", "application/json")]
            request.body = .bytes(body.bytes)
        }
        request.maxBodyBytes = 256 << 20
        let response = try await client.send(request)
        let text = String(decoding: response.body, as: UTF8.self)
        guard response.status == 200 else {
            throw Failure(description: "\(method) \(path): \(response.status) \(text)")
        }
        return response.body.isEmpty ? .null : try JSON(parsing: response.body)
    }
}

/// Runs the emulated Telegram with one bot, and acts as its users.
package struct BotEmulator: Sendable {
    package static let token = "123456:TEST-token_of-the-emulator"
    package static let botID: Int64 = 123456
    package let server: PythonServer
    /// The account that replaces the bot, or nil for the bot.
    private let account: AccountFolder?

    package init(_ arguments: String...) throws {
        server = try PythonServer(script: "emulator.py", ["--token", BotEmulator.token] + arguments)
        account = nil
    }

    /// Uses an account, whose session is in a folder, instead of the bot.
    package init(asAccountIn folder: TemporaryFolder) async throws {
        let account = #"{"id": 500, "phone": "15550100500", "first_name": "Desk", "username": "media_desk"}"#
        server = try PythonServer(script: "emulator.py", ["--account", account])
        self.account = try await AccountFolder(
            MTProtoEmulator(server), account: 500, name: "desk", folder: folder)
    }

    /// The environment variables with which tools use this emulator.
    package var environment: [String: String] {
        account?.environment ?? ["TG_BOT_TOKEN": BotEmulator.token, "TG_BOT_API_URL": server.url]
    }

    private var speaker: Int64 { account == nil ? BotEmulator.botID : 500 }

    /// Adds the account to a request of the control API, if there is one.
    private func order(_ order: JSONObject) -> JSON {
        var order = order
        if account != nil { order["account"] = .integer(speaker) }
        return .object(order)
    }

    package struct User: Sendable {
        package let id: Int64
        package let name: String
        package let username: String?

        package init(_ id: Int64, _ name: String, username: String? = nil) {
            self.id = id
            self.name = name
            self.username = username
        }

        var json: JSON {
            .object(["id": .integer(id), "first_name": .string(name), "username": username.map { .string($0) }])
        }
    }

    /// Sends a message as a user, to the private chat by default.
    ///
    /// - Returns: the message's id.
    @discardableResult
    package func say(_ text: String, as user: User, chat: Int64? = nil, replyTo: Int64? = nil) async throws -> Int64 {
        let message = try await server.call(
            "POST", "/control/message",
            order([
                "chat_id": .integer(chat ?? user.id), "from": user.json, "text": .string(text),
                "reply_to": replyTo.map { .integer($0) },
            ]))
        return message["message_id"]?.int ?? 0
    }

    /// Presses the button of a message whose words contain a text.
    ///
    /// - Returns: the id of the callback query.
    @discardableResult
    package func press(_ text: String, of message: Int64, in chat: Int64, as user: User) async throws -> String {
        let answer = try await server.call(
            "POST", "/control/press",
            [
                "chat_id": .integer(chat), "message_id": .integer(message), "text": .string(text), "from": user.json,
            ])
        return answer["id"]?.string ?? ""
    }

    /// Gives the bot an update as it is.
    package func update(_ update: JSON) async throws { try await server.call("POST", "/control/update", update) }

    @discardableResult
    package func sendFile(
        _ path: String, kind: String, as user: User, chat: Int64? = nil, caption: String? = nil
    ) async throws -> Int64 {
        let message = try await server.call(
            "POST", "/control/file",
            order([
                "chat_id": .integer(chat ?? user.id), "from": user.json, "path": .string(path), "kind": .string(kind),
                "caption": caption.map { .string($0) },
            ]))
        return message["message_id"]?.int ?? 0
    }

    /// Describes one message as the chat's members see it.
    package struct Entry: Sendable {
        package let json: JSON
        fileprivate let speaker: Int64
        package var message: JSON { json["message"] ?? .null }
        package var id: Int64 { message["message_id"]?.int ?? 0 }
        package var text: String? { message["text"]?.string }
        package var caption: String? { message["caption"]?.string }
        package var isDeleted: Bool { json["deleted"] == true }
        package var edits: [String] {
            json["edits"]?.array?.compactMap { $0["text"]?.string ?? $0["caption"]?.string } ?? []
        }
        package var reactions: [String] { json["reactions"]?.array?.compactMap { $0["emoji"]?.string } ?? [] }
        package var isBots: Bool { message["from"]?["id"]?.int == speaker }
        /// The buttons below the message.
        package var buttons: [JSON] {
            (message["reply_markup"]?["inline_keyboard"]?.array ?? []).flatMap { $0.array ?? [] }
        }
        package var repliesTo: Int64? { message["reply_to_message"]?["message_id"]?.int }
    }

    package func chat(_ id: Int64) async throws -> [Entry] {
        let path = "/control/chat/\(id)\(account == nil ? "" : "?account=\(speaker)")"
        return try await server.call("GET", path)["messages"]?.array?.map { Entry(json: $0, speaker: speaker) } ?? []
    }

    /// Returns the bot's messages in a chat, without deleted ones.
    package func answers(in id: Int64) async throws -> [Entry] {
        try await chat(id).filter { $0.isBots && !$0.isDeleted }
    }

    /// Returns how many videos, or parts of videos, were uploaded.
    package func uploads() async throws -> Int {
        guard account != nil else {
            return try await calls("sendVideo").count { $0["params"]?["video"]?.string == nil }
        }
        return try await server.call("GET", "/control/mtproto/log?method=upload.saveFilePart")["calls"]?.array?.count
            ?? 0
    }

    /// Returns whether new messages are received. An account does not receive messages from before it first listens.
    package func isListenedTo() async throws -> Bool {
        guard account != nil else { return true }
        return try await server.call("GET", "/control/mtproto/log?method=updates.getState")["calls"]?.array?.isEmpty
            == false
    }

    /// Returns the account's protocol violations.
    package func violations() async throws -> [JSON] { try await account?.violations() ?? [] }

    /// Returns the bot's calls, in order.
    package func calls(_ method: String) async throws -> [JSON] {
        try await server.call("GET", "/control/log?method=\(method)")["calls"]?.array ?? []
    }

    /// Lets Telegram refuse all connections for a time, and resets the open ones.
    package func outage(seconds: Double) async throws {
        try await server.call("POST", "/control/outage", ["seconds": .number(seconds)])
    }

    package func fault(_ method: String, _ kind: String, times: Int64 = 1, _ more: JSONObject = [:]) async throws {
        var body: JSONObject = ["method": .string(method), "kind": .string(kind), "times": .integer(times)]
        for member in more.members { body[member.key] = member.value }
        try await server.call("POST", "/control/fault", .object(body))
    }
}

/// Runs the emulated web site, whose paths select files, ranges, redirects, pages and faults.
package struct WebSite: Sendable {
    package let server: PythonServer
    package var url: String { server.url }

    package init(root: String) throws { server = try PythonServer(script: "site.py", ["--root", root]) }

    /// Returns the requests for a path, in order.
    package func requests(_ path: String? = nil) async throws -> [JSON] {
        let all = try await server.call("GET", "/control/log")["requests"]?.array ?? []
        return all.filter { path == nil || $0["path"]?.string == path }
    }
}
