import JSON
import System
import Testing

@testable import BotAPI

@Suite struct TelegramErrorTests {
    private func failure(_ status: Int, _ body: String) -> TelegramError? {
        do throws(TelegramError) {
            _ = try BotAPI.result(status: status, body: Array(body.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test func `A flood wait's length is kept exactly`() {
        let error = failure(
            429,
            #"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 54000","parameters":{"retry_after":54000}}"#
        )
        #expect(error?.code == .floodWait)
        #expect(error?.retryAfter == .seconds(54000))
        #expect(error?.exitStatus == .tryAgain)
    }

    @Test func `A flood wait of any length can be waited for`() {
        let error = failure(
            429, #"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":9223372036854775807}}"#)
        #expect(error?.retryAfter == .seconds(365 * 86_400))
    }

    @Test(arguments: [
        (401, "Unauthorized", TelegramError.Code.unauthorized), (404, "Not Found", .unauthorized),
        (403, "Forbidden: bot was blocked by the user", .forbidden),
        (409, "Conflict: terminated by other getUpdates request", .conflict),
        (413, "Request Entity Too Large", .tooLarge), (502, "Bad Gateway", .server),
        (400, "Bad Request: message is not modified: specified new message content", .notModified),
        (400, "Bad Request: message to edit not found", .messageNotFound),
        (400, "Bad Request: wrong file identifier/HTTP URL specified", .fileRefused),
        (400, "Bad Request: FILE_REFERENCE_EXPIRED", .fileRefused),
        (400, "Bad Request: can't use file of type Document as Video", .fileRefused),
        (400, "Bad Request: message can't be edited", .messageNotFound),
        (400, "Bad Request: type of file mismatch", .fileRefused),
        (404, "Not Found: method not found", .badRequest), (400, "Bad Request: chat not found", .badRequest),
    ])
    func `Each kind of refusal is recognised`(_ number: Int, _ text: String, _ code: TelegramError.Code) {
        let error = failure(number, #"{"ok":false,"error_code":\#(number),"description":"\#(text)"}"#)
        #expect(error?.code == code)
    }

    @Test func `A token that a server repeats in its description is not repeated`() {
        KnownSecrets.remember("4242:AAH-secret-part-of-a-token")
        let error = TelegramError(
            number: 400,
            description: "Bad Request: no method bot4242:AAH-secret-part-of-a-token/x, AAH-secret-part-of-a-token")
        #expect(!error.message.contains("AAH-secret"))
        #expect(error.message.contains("[secret]"))
    }

    @Test(arguments: ["", "{", #"{"ok":"#, #"{"ok":true,"result":{"messa"#, #"{"ok":true,"result":[{"update_id":1},"#])
    func `A cut answer is a transient failure, and its call may have been carried out`(_ body: String) {
        let error = failure(200, body)
        #expect(error?.code == (body.isEmpty ? .foreignAnswer : .network))
        #expect(error?.isOutcomeUnknown == true)
    }

    @Test(arguments: [
        (#"{"ok":true,"result":{"message_id":123,"fr"#, Int64?.some(123)),
        (#"{"ok":true,"result":{"message_id":123"#, nil),
        (#"{"ok":true,"result":{"message_id":99999999999999999999,"#, nil),
        (#"{"ok":true,"result":{"message_id":,"#, nil),
        (#"{"ok":false,"error_code":4"#, nil),
    ])
    func `The beginning of an answer names the message that was sent`(_ body: String, _ id: Int64?) {
        #expect(failure(200, body)?.sentMessageID == id)
    }

    @Test(arguments: [
        ("Bad Request: MEDIA_EMPTY", TelegramError.Code.fileRefused), ("Bad Request: FILE_ID_INVALID", .fileRefused),
        ("Bad Request: MEDIA_INVALID", .fileRefused), ("Bad Request: invalid file identifier specified", .fileRefused),
        ("Bad Request: wrong remote file identifier specified: Wrong padding in the string", .fileRefused),
        ("Bad Request: REACTION_INVALID", .reactionRefused), ("Bad Request: reactions are disabled", .reactionRefused),
        ("Bad Request: TOPIC_CLOSED", .topicGone), ("Bad Request: message thread not found", .topicGone),
        ("Bad Request: message to react not found", .messageNotFound),
    ])
    func `A refusal is recognised in each of its spellings`(_ text: String, _ code: TelegramError.Code) {
        #expect(failure(400, #"{"ok":false,"error_code":400,"description":"\#(text)"}"#)?.code == code)
    }

    @Test func `Only failures of the service are signs of an outage`() {
        #expect(failure(502, "<html>")?.suspectedOutage?.service == .telegram)
        #expect(failure(502, "<html>")?.suspectedOutage?.isCertain == false)
        #expect(
            failure(400, #"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#)?.suspectedOutage
                == nil)
        #expect(failure(429, "<html>")?.suspectedOutage == nil)
    }

    @Test func `A response that is not Telegram's is recognised as foreign`() {
        #expect(failure(200, "<html>")?.code == .foreignAnswer)
        #expect(failure(200, #"{"ok":true}"#) != nil)
        #expect(failure(503, "<html>")?.code == .server)
        #expect(failure(404, "<html>")?.code == .foreignAnswer)
        #expect(failure(429, "<html>")?.code == .floodWait)
    }

    @Test(arguments: ["", "123", "123:", ":abc", "12a:abc", "123:a b", "123:a/b", "-1:abc", "1:a:b"])
    func `Text in another format is not a token`(_ text: String) {
        #expect(BotToken(text) == nil)
    }

    @Test func `A token does not appear in its description`() throws {
        let token = try #require(BotToken("123456:SECRET-secret_1"))
        #expect(token.botID == 123456)
        #expect(!"\(token)".contains("SECRET") && !String(reflecting: token).contains("SECRET"))
    }
}

@Suite struct UpdateTests {
    private func update(_ text: String) throws -> Update {
        Update(kind: "message", body: try #require(try JSON(parsing: text)["message"]))
    }

    @Test func `The actor is the message's author`() throws {
        let update = try update(
            #"{"update_id":1,"message":{"message_id":5,"chat":{"id":-100,"type":"supergroup"},"from":{"id":7,"first_name":"A","last_name":"B","username":"ab"},"text":"hi"}}"#
        )
        #expect(update.actor == Party(id: 7, username: "ab", name: "A B"))
        #expect(update.chatID == -100)
        #expect(update.message?.id == 5 && update.message?.chatID == -100)
        #expect(update.message?.chatType == "supergroup")
    }

    @Test func `An anonymous administrator acts as the chat`() throws {
        let update = try update(
            #"{"update_id":1,"message":{"message_id":5,"chat":{"id":-100,"type":"supergroup"},"from":{"id":1087968824},"sender_chat":{"id":-100,"title":"G"},"text":"hi"}}"#
        )
        #expect(update.actor?.id == -100)
    }

    @Test func `Entities are counted in UTF-16 units`() throws {
        let update = try update(
            #"{"update_id":1,"message":{"message_id":5,"chat":{"id":1},"text":"😀 http://a.b","entities":[{"type":"url","offset":3,"length":10},{"type":"url","offset":9,"length":99},{"type":"url","offset":-1,"length":2},{"type":"url","offset":9223372036854775807,"length":2}]}}"#
        )
        #expect(update.message?.entities.map(\.text) == ["http://a.b"])
    }

    @Test func `The largest photo size is the message's file`() throws {
        let update = try update(
            #"{"update_id":1,"message":{"message_id":5,"chat":{"id":1},"photo":[{"file_id":"s","file_unique_id":"1"},{"file_id":"l","file_unique_id":"2"}]}}"#
        )
        #expect(update.message?.file?["file_id"] == "l")
    }

    @Test func `A reference to the message that opened a topic is not a reply`() throws {
        let update = try update(
            #"{"update_id":1,"message":{"message_id":5,"chat":{"id":1},"text":"x","reply_to_message":{"message_id":2,"chat":{"id":1},"forum_topic_created":{"name":"t"}}}}"#
        )
        #expect(update.message?.repliedTo == nil)
    }
}
