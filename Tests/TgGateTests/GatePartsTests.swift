import BotAPI
import ChatCommands
import Envelope
import JSON
import Payloads
import Testing
import Texts

@testable import tg_gate

@Suite struct GatePartsTests {
    private func message(_ text: String, _ more: JSONObject = [:]) -> JSONObject {
        var message: JSONObject = [
            "message_id": 5, "chat": ["id": -100, "type": "supergroup"], "from": ["id": 42, "first_name": "Ada"],
            "text": .string(text),
        ]
        for member in more.members { message[member.key] = member.value }
        return message
    }

    private func event(_ text: String, kind: String = "message", _ more: JSONObject = [:]) -> Envelope {
        Envelope(
            type: TelegramUpdate.type, payload: JSONObject([.init(key: kind, value: .object(message(text, more)))]),
            meta: ["bot": ["username": "some_bot"]])
    }

    private func request(_ event: Envelope, admins: Set<Int64> = [42]) -> Request? {
        Request(event, admins: admins)
    }

    // MARK: Batches

    @Test func `A batch is split behind each event that may change access rules`() {
        let plain = request(event("hello"))
        let change = request(event(".bless 7"))
        #expect(Gate.runs(of: []) == [])
        #expect(Gate.runs(of: [plain, plain, nil]) == [0..<3])
        #expect(Gate.runs(of: [plain, change, plain, change]) == [0..<2, 2..<4])
        #expect(Gate.runs(of: [change, change, plain]) == [0..<1, 1..<2, 2..<3])
    }

    @Test func `Visits of one form are made once, as long as names keep their owners`() {
        func visit(_ id: Int64, _ name: String?, chat: Int64 = 1) -> AccessRules.Visit {
            AccessRules.Visit(
                actor: id, appearances: [id], chat: chat, seen: [Party(id: id, username: name, name: "U")])
        }
        func places(_ visits: [AccessRules.Visit]) -> [Int] { AccessRules.Visits(visits).placeOfVisit }
        let (ann, bob) = (visit(1, "ann"), visit(2, "bob"))
        #expect(places([ann, bob, ann, visit(1, "ANN"), bob]) == [0, 1, 0, 0, 1])
        #expect(places([ann, visit(1, "ann", chat: 2), ann]) == [0, 1, 0])
        #expect(places([visit(1, nil), visit(2, nil), visit(1, nil)]) == [0, 1, 0])
        // A name that changes hands, or a person who changes the name, is noted in the order of the events.
        #expect(places([ann, visit(2, "ann"), ann]) == [0, 1, 2])
        #expect(places([ann, visit(1, "eve"), ann]) == [0, 1, 2])
        #expect(places([visit(1, nil), ann, visit(1, nil)]) == [0, 1, 2])
        var moved = visit(3, nil)
        moved.migration = (from: -5, to: -6)
        #expect(places([ann, moved, ann]) == [0, 1, 2])
        #expect(AccessRules.Visits([ann, bob, ann]).distinct.map(\.actor) == [1, 2])
    }

    @Test func `Only an admin's access command changes rules`() {
        #expect(request(event(".bless 7"))?.changesRules == true)
        #expect(request(event(".bless 7"), admins: [1])?.changesRules == false)
        #expect(request(event(".vdl https://example.com"))?.changesRules == false)
        #expect(request(event(".bless 7", kind: "edited_message"))?.changesRules == false)
        let forwarded = event(".bless 7", ["forward_origin": ["type": "user"]])
        #expect(request(forwarded)?.changesRules == false)
    }

    @Test(arguments: ["{}", #"{"update_id":1}"#, #"{"update_id":1,"message":7}"#])
    func `A payload without an update makes no request`(_ text: String) throws {
        let payload = try #require(try JSON(parsing: text).object)
        #expect(request(Envelope(type: TelegramUpdate.type, payload: payload)) == nil)
    }

    @Test func `The message is the origin, and its author the actor`() throws {
        let hello = try #require(request(event("hello")))
        let origin = try #require(hello.origin)
        #expect(origin.json.text == #"{"chat_id":-100,"message_id":5,"chat_type":"supergroup"}"#)
        let actor = EventActor(try #require(hello.actor))
        #expect(actor.json.text == #"{"id":42,"name":"Ada"}"#)
    }

    // MARK: Access commands

    private func command(_ text: String, _ more: JSONObject = [:]) throws -> AccessCommand {
        let written = try #require(WrittenCommand(text, bot: nil))
        return try AccessCommand(written, in: try #require(Message(.object(message(text, more)))))
    }

    private let reply: JSONObject = [
        "reply_to_message": ["message_id": 4, "chat": ["id": -100], "from": ["id": 7, "first_name": "Bob"]]
    ]

    @Test func `Access commands name a subject and a duration`() throws {
        let bless = try command(".bless @Bob 2h")
        #expect(bless.rule == .bless && bless.sets && bless.subject == .name("Bob") && bless.lasting == .seconds(7200))
        #expect(try command(".bless 7").lasting == .seconds(30 * 86_400))
        #expect(try command(".hammer", reply).subject == .user(7))
        #expect(try command(".hammer", reply).lasting == .seconds(3600))
        #expect(try command(".grace").subject == .chat)
        #expect(try command(".grace").lasting == nil)
        #expect(try command(".unsmite").sets == false)
    }

    @Test func `A text mention names a user without a user name`() throws {
        let entities: JSONObject = [
            "entities": [["type": "text_mention", "offset": 7, "length": 8, "user": ["id": 9, "first_name": "X"]]]
        ]
        let bless = try command(".bless Bob Else 1h", entities)
        #expect(bless.subject == .user(9) && bless.lasting == .seconds(3600))
    }

    @Test(arguments: [".bless", ".bless @x soon", ".bless 7 1h 2h", ".smite 1h", ".ungrace now", ".hammer @"])
    func `A command that is not understood is answered with its usage`(_ text: String) throws {
        let error = #expect(throws: AccessCommand.UsageError.self) { try command(text) }
        #expect(error?.command.hasPrefix(text.prefix { $0 != " " }) == true)
    }

    @Test func `In a reply a bare number is a duration without its unit`() {
        #expect(throws: AccessCommand.UsageError.self) { try command(".hammer 5", reply) }
    }

    // MARK: Command words

    @Test func `Command words can be added, changed and removed`() throws {
        let changes = ["Foo=commands.foo", ".vdl=commands.media.other", ".adl="].map { CommandWord(argument: $0) }
        let table = CommandTable(changes: changes.compactMap { $0 })
        #expect(table.type(of: "foo") == "commands.foo")
        #expect(table.type(of: ".vdl") == "commands.media.other")
        #expect(table.type(of: ".adl") == nil)
    }

    @Test(arguments: ["", "x", "=commands.a", "a b=commands.a", ".x=commands.*", ".x=not a type"])
    func `Other texts are no command words`(_ text: String) {
        #expect(CommandWord(argument: text) == nil)
    }

    @Test func `A command for another bot is ignored`() {
        #expect(WrittenCommand("/vdl@Some_Bot x", bot: "some_bot")?.word == "/vdl")
        #expect(WrittenCommand("/vdl@other_bot x", bot: "some_bot") == nil)
        #expect(WrittenCommand("/vdl@other_bot x", bot: nil)?.word == "/vdl")
        #expect(WrittenCommand("  .VDL a  b ", bot: nil)?.arguments == ["a", "b"])
        #expect(WrittenCommand(" \n", bot: nil) == nil)
    }

    @Test func `A media command takes its own link first, then the file, then the reply`() throws {
        func source(_ text: String, _ more: JSONObject = [:]) throws -> JSONObject? {
            let written = try #require(WrittenCommand(text, bot: nil))
            let message = try #require(Message(.object(message(text, more))))
            return MediaSource.find(in: message, written)?.json
        }
        #expect(try source(".vdl example.com/a") == ["url": "https://example.com/a"])
        #expect(try source(".vdl") == nil)
        let replied: JSONObject = [
            "reply_to_message": ["message_id": 4, "chat": ["id": -100], "text": "see http://example.org/v now"]
        ]
        #expect(try source(".vdl", replied) == ["url": "http://example.org/v"])
        #expect(try source(".vdl https://example.com/b", replied) == ["url": "https://example.com/b"])
        let file: JSONObject = ["video": ["file_id": "F", "file_unique_id": "U"]]
        #expect(try source(".vdl", file)?["file"]?["file_id"] == "F")
    }

    @Test func `Only a command that is not a media command carries its words`() {
        let url = DownloadSource.url("https://example.com/")
        let media = CommandPayload(type: "commands.media.video_download", source: url, words: ["example.com"])
        #expect(media.json == ["url": "https://example.com/"])
        let other = CommandPayload(type: "commands.weather.forecast", source: nil, words: ["in", "Oslo"])
        #expect(other.json == ["text": "in Oslo"])
        let both = CommandPayload(type: "commands.weather.forecast", source: url, words: ["example.com"])
        #expect(JSON.object(both.json).text == #"{"url":"https://example.com/","text":"example.com"}"#)
    }

    // MARK: Standing

    private func standing(
        hammered: Term = .absent, blessed: Term = .absent, graced: Term = .absent, smitten: Term = .absent
    ) -> Standing {
        Standing(hammered: hammered, blessed: blessed, graced: graced, smitten: smitten)
    }

    @Test func `A standing names the first rule that holds`() {
        let words = GateWords(texts: Texts(), language: nil)
        #expect(words.status(standing()) == "not let in yet")
        #expect(words.status(standing(graced: .forever)) == "may use the bot like everybody in this group")
        #expect(words.status(standing(blessed: .forever, graced: .forever)) == "let in")
        #expect(words.status(standing(blessed: .forever, smitten: .forever)) == "banned, like everybody in this group")
        #expect(words.status(standing(hammered: .forever, smitten: .forever)) == "banned")
        #expect(words.status(standing(blessed: .left(.seconds(3600)))).hasPrefix("let in until 2"))
    }

    @Test func `A text in another direction keeps names and commands apart`() {
        let words = GateWords(texts: Texts(), language: "fa-IR")
        let usage = words.usage(AccessCommand.UsageError(command: ".bless @user [30d]", reply: ".bless [30d]"))
        #expect(
            usage == "روش کار: \u{2068}.bless @user [30d]\u{2069}، یا در پاسخ به یک پیام \u{2068}.bless [30d]\u{2069}")
        #expect(words.status(standing(hammered: .left(.seconds(60)))).contains(" تا \u{2068}20"))
    }
}
