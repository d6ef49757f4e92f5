import Accounts
import BotAPI
import JSON
import MTProto
import Testing

@testable import AccountAPI

@Suite struct AccountAPITests {
    private let fileID = AccountFileID(
        kind: .video, id: 5, accessHash: 6, fileReference: "AAAA", dataCenter: 2, sizeBytes: 100, origin: nil
    ).text

    @Test func `A message goes to its chat with its entities`() async throws {
        let account = try FakeAccount(.sent(9))
        let message = try await AccountAPI(account).call(
            "sendMessage",
            [
                "chat_id": 42, "text": "<b>x</b>", "parse_mode": "HTML", "disable_notification": true,
                "link_preview_options": ["is_disabled": true],
            ])
        let call = try #require(account.calls.first)
        #expect(call.method == "messages.sendMessage")
        #expect(call.parameters["peer"] == 42 && call.parameters["message"] == "x")
        #expect(call.parameters["entities"]?.array?.first?["_"] == "messageEntityBold")
        #expect(call.parameters["silent"] == true && call.parameters["no_webpage"] == true)
        #expect(message["message_id"] == 9 && message["chat"]?["id"] == 42)
    }

    @Test(arguments: [(true, 4_194_304_000), (false, 2_097_152_000), (nil, 2_097_152_000)] as [(Bool?, Int64)])
    func `Telegram Premium doubles what can be sent`(_ isPremium: Bool?, _ limit: Int64) async throws {
        let user: JSON = .object([
            "_": "user", "id": 7, "premium": isPremium.map { .bool($0) }, "first_name": "Me",
        ])
        let account = try FakeAccount(.success([user]), .success([]), .error("AUTH_KEY_UNREGISTERED", code: 401))
        let api = AccountAPI(account)
        #expect(try await api.uploadLimit() == limit)
        #expect(try await api.uploadLimit() == 2_097_152_000)
        let error = await #expect(throws: TelegramError.self) { try await api.uploadLimit() }
        #expect(error?.code == .unauthorized)
    }

    @Test func `A reply in a topic names both the message and the topic`() async throws {
        let account = try FakeAccount(.sent(9), .sent(10))
        let api = AccountAPI(account)
        _ = try await api.call(
            "sendMessage",
            ["chat_id": 42, "text": "x", "message_thread_id": 3, "reply_parameters": ["message_id": 8]])
        _ = try await api.call("sendMessage", ["chat_id": 42, "text": "x", "message_thread_id": 3])
        let replies = account.calls.map { $0.parameters["reply_to"] }
        #expect(replies[0]?["reply_to_msg_id"] == 8 && replies[0]?["top_msg_id"] == 3)
        #expect(replies[1]?["reply_to_msg_id"] == 3 && replies[1]?["top_msg_id"] == nil)
    }

    private let reply: JSONObject = [
        "chat_id": 42, "text": "x", "message_thread_id": 3,
        "reply_parameters": ["message_id": 8, "allow_sending_without_reply": true],
    ]

    @Test func `A reply to a deleted message is sent without the reply`() async throws {
        let account = try FakeAccount(.error("REPLY_MESSAGE_ID_INVALID"), .sent(9))
        #expect(try await AccountAPI(account).call("sendMessage", reply)["message_id"] == 9)
        #expect(account.calls.last?.parameters["reply_to"]?["reply_to_msg_id"] == 3)
    }

    @Test func `A reply in a deleted topic fails after the second attempt`() async throws {
        let account = try FakeAccount(.error("REPLY_MESSAGE_ID_INVALID"), .error("REPLY_MESSAGE_ID_INVALID"), .sent(9))
        let error = await #expect(throws: TelegramError.self) {
            try await AccountAPI(account).call("sendMessage", reply)
        }
        #expect(error?.code == .messageNotFound)
        #expect(account.calls.count == 2)
    }

    @Test func `A message that Telegram has already counts as sent, without an id`() async throws {
        let account = try FakeAccount(.error("RANDOM_ID_DUPLICATE", code: 500))
        let message = try await AccountAPI(account).call("sendMessage", ["chat_id": "me", "text": "x"])
        #expect(message["message_id"] == nil && message["chat"]?["id"] == 7)
    }

    @Test func `A file is sent again with a new reference when the old one has expired`() async throws {
        let id = AccountFileID(
            kind: .video, id: 5, accessHash: 6, fileReference: "AAAA", dataCenter: 2, sizeBytes: 100,
            origin: MessageOrigin(chatID: 42, messageID: 3)
        ).text
        let message: JSON = [
            "_": "messages.messages",
            "messages": [
                [
                    "_": "message", "id": 3,
                    "media": [
                        "_": "messageMediaDocument",
                        "document": [
                            "_": "document", "id": "5", "access_hash": "6", "file_reference": "BBBB", "dc_id": 2,
                            "size": "100",
                        ],
                    ],
                ]
            ],
        ]
        let account = try FakeAccount(.error("FILE_REFERENCE_EXPIRED"), .success(message), .sent(9))
        #expect(
            try await AccountAPI(account).call("sendVideo", ["chat_id": 42, "video": .string(id)])["message_id"] == 9)
        let sent = account.calls.filter { $0.method == "messages.sendMedia" }
        #expect(sent.map { $0.parameters["media"]?["id"]?["file_reference"] } == ["AAAA", "BBBB"])
        #expect(sent[0].parameters["random_id"] == sent[1].parameters["random_id"])
    }

    @Test func `A file whose message is unknown keeps Telegram's refusal`() async throws {
        let account = try FakeAccount(.error("FILE_REFERENCE_EXPIRED"))
        let error = await #expect(throws: TelegramError.self) {
            try await AccountAPI(account).call("sendVideo", ["chat_id": 42, "video": .string(fileID)])
        }
        #expect(error?.code == .fileRefused)
    }

    @Test(arguments: [
        (42, "messages.deleteMessages"), (-5, "messages.deleteMessages"),
        (-1_000_000_000_005, "channels.deleteMessages"),
    ])
    func `Channels have a method of their own to delete messages`(_ chat: Int64, _ method: String) async throws {
        let account = try FakeAccount(.success(["pts_count": 1]))
        #expect(
            try await AccountAPI(account).call("deleteMessage", ["chat_id": .integer(chat), "message_id": 3]) == true)
        #expect(account.calls.map(\.method) == [method])
    }

    @Test func `Deleting a message that does not exist is reported`() async throws {
        let account = try FakeAccount(.success(["pts_count": 0]))
        let error = await #expect(throws: TelegramError.self) {
            try await AccountAPI(account).call("deleteMessage", ["chat_id": 42, "message_id": 3])
        }
        #expect(error?.code == .messageNotFound)
    }

    @Test func `A method that no account has is refused`() async throws {
        let account = try FakeAccount()
        let error = await #expect(throws: TelegramError.self) { try await AccountAPI(account).call("getUpdates", [:]) }
        #expect(error?.code == .badRequest && account.calls.isEmpty)
    }

    @Test func `A flood wait names the method that waits`() async throws {
        let account = try FakeAccount(.error("FLOOD_WAIT_31", code: 420))
        let error = await #expect(throws: TelegramError.self) {
            try await AccountAPI(account).call("sendMessage", ["chat_id": 42, "text": "x"])
        }
        #expect(error?.retryAfter == .seconds(31))
        #expect(error?.waitingCall?.method == "messages.sendMessage" && error?.waitingCall?.reason == "FLOOD_WAIT_31")
    }
}

@Suite struct AccountFailureTests {
    @Test(arguments: [
        ("MESSAGE_NOT_MODIFIED", 400, TelegramError.Code.notModified), ("MESSAGE_ID_INVALID", 400, .messageNotFound),
        ("MESSAGE_EDIT_TIME_EXPIRED", 400, .messageNotFound), ("MESSAGE_DELETE_FORBIDDEN", 403, .messageNotFound),
        ("FILE_REFERENCE_EXPIRED", 400, .fileRefused), ("FILE_REFERENCE_0_EXPIRED", 400, .fileRefused),
        ("MEDIA_EMPTY", 400, .fileRefused), ("FILE_PART_3_MISSING", 400, .server), ("USER_IS_BLOCKED", 403, .forbidden),
        ("CHAT_ID_INVALID", 400, .badRequest), ("AUTH_KEY_UNREGISTERED", 401, .unauthorized),
        ("AUTH_KEY_DUPLICATED", 406, .unauthorized), ("FLOOD_WAIT_3", 420, .floodWait),
        ("SLOWMODE_WAIT_3", 420, .floodWait), ("FROZEN_METHOD_INVALID", 420, .floodWait),
        ("INTERNAL", 500, .server), ("Timeout", -503, .server),
    ])
    func `Telegram's errors get the codes of the Bot API's errors`(
        _ text: String, _ number: Int, _ code: TelegramError.Code
    ) {
        let error = TelegramError(TelegramRPCError(code: number, text: text), "sendMessage")
        #expect(error.code == code)
        #expect(error.number == number)
        #expect((error.retryAfter != nil) == (code == .floodWait))
    }

    private func translated(_ error: any Error) async -> TelegramError? {
        do throws(TelegramError) {
            try await TelegramError.translating("sendMessage") { throw error }
            return nil
        } catch {
            return error
        }
    }

    @Test func `Failures of the connection and the session are translated`() async {
        let cases: [(any Error, TelegramError.Code)] = [
            (MTProtoError(.protocolBroken, "x"), .protocolBroken), (MTProtoError(.unknownKey, "x"), .unauthorized),
            (MTProtoError(.disconnected, "x"), .network), (AccountError(.tooLarge, "x"), .tooLarge),
            (AccountError(.referenceLost, "x"), .fileRefused), (AccountError(.emptyFile, "x"), .localIO),
            (AccountError(.notLoggedIn, "x"), .unauthorized), (AccountError(.unknownPeer, "x"), .badRequest),
            (AccountError(.ownerGone, "x"), .network), (CancellationError(), .network),
            (TelegramError(.tooLarge, "x"), .tooLarge),
        ]
        for (error, code) in cases { #expect(await translated(error)?.code == code, "\(error)") }
    }
}
