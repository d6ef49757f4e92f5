import Glibc
import HTTP
package import JSON

/// A server of `Tests/Emulator`, on a free port; ends with the object, or with the tests when they die.
package final class PythonServer: Sendable {
    /// `http://127.0.0.1:PORT`.
    package let url: String
    private let program: SpawnedProgram
    /// The server ends when this end of its standard input is closed.
    private let input: Int32
    private let client = HTTPClient()

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameter script: below `Tests/Emulator`.
    package init(script: String, _ arguments: [String]) throws {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Failure(description: "no descriptors left") }
        let words = try [
            "\(PythonTools.binFolder())/python", "\(testFolder)/Emulator/\(script)", "--port", "0", "--exit-with-stdin",
        ]
        do {
            // Closed before the greeting is waited for: the end of a script that fails must be seen.
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

    /// Calls the control API.
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

/// The emulated Telegram, with one bot, and doors to act as its users.
package struct BotEmulator: Sendable {
    package static let token = "123456:TEST-token_of-the-emulator"
    package static let botID: Int64 = 123456
    package let server: PythonServer
    /// Who speaks in the bot's place; nil: the bot.
    private let account: AccountFolder?

    package init(_ arguments: String...) throws {
        server = try PythonServer(script: "emulator.py", ["--token", BotEmulator.token] + arguments)
        account = nil
    }

    /// With an account instead of the bot, whose session is in a folder.
    package init(asAccountIn folder: TemporaryFolder) async throws {
        let account = #"{"id": 500, "phone": "15550100500", "first_name": "Desk", "username": "media_desk"}"#
        server = try PythonServer(script: "emulator.py", ["--account", account])
        self.account = try await AccountFolder(
            MTProtoEmulator(server), account: 500, name: "desk", folder: folder)
    }

    /// What tools need in their environment to speak to it.
    package var environment: [String: String] {
        account?.environment ?? ["TG_BOT_TOKEN": BotEmulator.token, "TG_BOT_API_URL": server.url]
    }

    private var speaker: Int64 { account == nil ? BotEmulator.botID : 500 }

    /// What an order is about: what the account sees, where there is one.
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

    /// Writes as a user, in their private chat by default.
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

    @discardableResult
    package func sendFile(_ path: String, kind: String, as user: User, chat: Int64? = nil) async throws -> Int64 {
        let message = try await server.call(
            "POST", "/control/file",
            order([
                "chat_id": .integer(chat ?? user.id), "from": user.json, "path": .string(path), "kind": .string(kind),
            ]))
        return message["message_id"]?.int ?? 0
    }

    /// One entry of a chat as its members see it.
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
        package var repliesTo: Int64? { message["reply_to_message"]?["message_id"]?.int }
    }

    package func chat(_ id: Int64) async throws -> [Entry] {
        let path = "/control/chat/\(id)\(account == nil ? "" : "?account=\(speaker)")"
        return try await server.call("GET", path)["messages"]?.array?.map { Entry(json: $0, speaker: speaker) } ?? []
    }

    /// What the bot wrote in a chat and left there.
    package func answers(in id: Int64) async throws -> [Entry] {
        try await chat(id).filter { $0.isBots && !$0.isDeleted }
    }

    /// How often a video, or a part of one, was sent as bytes.
    package func uploads() async throws -> Int {
        guard account != nil else {
            return try await calls("sendVideo").count { $0["params"]?["video"]?.string == nil }
        }
        return try await server.call("GET", "/control/mtproto/log?method=upload.saveFilePart")["calls"]?.array?.count
            ?? 0
    }

    /// Whether what is said now is heard: what was said before an account first listens is not.
    package func isListenedTo() async throws -> Bool {
        guard account != nil else { return true }
        return try await server.call("GET", "/control/mtproto/log?method=updates.getState")["calls"]?.array?.isEmpty
            == false
    }

    /// Whatever the account did that Telegram would not put up with.
    package func violations() async throws -> [JSON] { try await account?.violations() ?? [] }

    /// Calls that the bot made, in order.
    package func calls(_ method: String) async throws -> [JSON] {
        try await server.call("GET", "/control/log?method=\(method)")["calls"]?.array ?? []
    }

    package func fault(_ method: String, _ kind: String, times: Int64 = 1, _ more: JSONObject = [:]) async throws {
        var body: JSONObject = ["method": .string(method), "kind": .string(kind), "times": .integer(times)]
        for member in more.members { body[member.key] = member.value }
        try await server.call("POST", "/control/fault", .object(body))
    }
}

/// The emulated internet: files, ranges, redirects, pages, and misbehaviour by path.
package struct WebSite: Sendable {
    package let server: PythonServer
    package var url: String { server.url }

    package init(root: String) throws { server = try PythonServer(script: "site.py", ["--root", root]) }

    /// Requests for a path, in order.
    package func requests(_ path: String? = nil) async throws -> [JSON] {
        let all = try await server.call("GET", "/control/log")["requests"]?.array ?? []
        return all.filter { path == nil || $0["path"]?.string == path }
    }
}
