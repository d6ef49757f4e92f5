import JSON
import Testing

@testable import Archive

@Suite struct EventReaderTests {
    private let reader = EventReader()
    private let batch = RowBatch()

    private func read(_ payload: String, type: String = "events.telegram.message", account: Int64? = 7)
        -> MalformedInput?
    {
        let meta = account.map { #"{"account":{"id":\#($0)}}"# } ?? "{}"
        let line =
            #"{"type":"\#(type)","correlation_id":"0191e0a0-0000-7000-8000-000000000001","#
            + #""timestamp":"2026-11-21T12:00:00.000007Z","payload":\#(payload),"meta":\#(meta)}"#
        let outcome = Line(Array(line.utf8)).withBytes { reader.read($0, into: batch) }
        if case .refused(let fault) = outcome { return fault }
        return nil
    }

    private func text(_ span: ByteArena.Span?) -> String? { span.flatMap { batch.arena.text($0) } }

    @Test func `All parts of a message are read`() throws {
        let message =
            #"{"message_id":5,"from":{"id":42,"is_bot":false,"first_name":"Ann"},"chat":{"id":-1001,"type":"supergroup","title":"G"},"#
            + #""date":100,"edit_date":120,"message_thread_id":3,"is_topic_message":true,"media_group_id":"777","#
            + #""reply_to_message":{"message_id":4,"chat":{"id":1,"type":"private"},"date":1,"text":"no"},"#
            + #""forward_origin":{"type":"channel","date":90,"chat":{"id":-1009,"type":"channel"},"message_id":8},"#
            + #""caption":"line\nwith \ud83d\ude00 and \u00fc","#
            + #""photo":[{"file_id":"a","file_unique_id":"small"},{"file_id":"b","file_unique_id":"large"}]}"#
        #expect(
            read(#"{"message":\#(message),"counters":{"views":9,"reactions":[{"total_count":2}]},"pts":12}"#) == nil)
        let row = try #require(batch.rows.first)
        let content = try #require(row.content)
        #expect(row.key == MessageKey(chatID: -1001, messageID: 5, ownerID: 0))
        #expect(content.date == 100 && content.editDate == 120 && content.pts == 12)
        #expect(content.senderID == 42 && content.replyToID == 4 && content.topicID == 3 && content.albumID == 777)
        #expect(content.forwardFromID == -1009 && content.forwardMessageID == 8 && content.forwardDate == 90)
        #expect(text(content.text) == "line\nwith 😀 and ü")
        #expect("\(content.media ?? "")" == "photo")
        #expect(text(content.fileUniqueID) == "large")
        #expect(text(content.raw) == message)
        #expect(row.counters?.views == 9)
        #expect(text(row.counters?.reactions) == #"[{"total_count":2}]"#)
        #expect(content.seenAt == 1_795_262_400_000_007)
        #expect(batch.users[42]?.firstName == "Ann")
        #expect(batch.chats[ChatKey(-1001, ownerID: 0)]?.title == "G")
    }

    @Test func `Private chats belong to the account, and need one`() {
        let message = #"{"message":{"message_id":1,"chat":{"id":9,"type":"private"},"date":1}}"#
        #expect(read(message) == nil)
        #expect(batch.rows.first?.key.ownerID == 7)
        #expect(read(message, account: nil)?.code == .invalidPayload)
    }

    @Test func `A service message has its name`() {
        #expect(
            read(#"{"message":{"message_id":1,"chat":{"id":-1001,"type":"supergroup"},"date":1,"new_chat_title":"x"}}"#)
                == nil)
        #expect(batch.rows.first?.content?.service.map { "\($0)" } == "new_chat_title")
    }

    @Test(arguments: [
        #"{"message":{"message_id":1,"date":1}}"#, #"{"message":{"chat":{"id":1,"type":"channel"},"date":1}}"#,
        #"{"message":{"message_id":-1,"chat":{"id":1,"type":"channel"},"date":1}}"#,
        #"{"message":{"message_id":9223372036854775807,"chat":{"id":1,"type":"channel"},"date":1}}"#, "{}",
        #"{"message":{"message_id":1.5,"chat":{"id":1,"type":"channel"},"date":1}}"#,
    ])
    func `A message without what a row needs is refused`(payload: String) {
        #expect(read(payload)?.code == .invalidPayload)
        #expect(batch.rows.isEmpty)
    }

    @Test func `Ranges with impossible ids are refused`() {
        let payload = #"{"account_id":1,"owner_id":0,"chat":{"id":-1001,"type":"channel"},"from_id":1,"#
        for end in ["9223372036854775807", "9007199254740993"] {
            let range = payload + #""to_id":\#(end),"count":0,"checksum":"0000000000000000"}"#
            #expect(read(range, type: "events.telegram.history_range")?.code == .invalidPayload)
        }
    }

    @Test func `Other updates are of no concern`() {
        #expect(read(#"{"update_id":1,"callback_query":{"id":"1"}}"#, type: "events.telegram.raw") == nil)
        #expect(batch.isEmpty)
    }

    @Test func `Within a batch the newest form of a message stays, in any order`() throws {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            let batch = RowBatch()
            let message = { (text: String, edit: Int64?, count: Int64) in
                let line = Array(#"{"text":"\#(text)"}"#.utf8).withUnsafeBytes { batch.arena.append($0) }
                var content = MessageRow.Content(date: 1, editDate: edit, pts: 1, seenAt: count, raw: line)
                content.text = line
                return MessageRow(
                    key: MessageKey(chatID: 1, messageID: 1, ownerID: 0), content: content,
                    counters: MessageRow.Counters(countedAt: count, views: count))
            }
            let forms = [
                message("a", nil, 1), message("b", 5, 2), message("c", 9, 3),
                MessageRow(key: MessageKey(chatID: 1, messageID: 1, ownerID: 0), deletedAt: 4),
            ]
            for index in order { batch.add(forms[index]) }
            let rows = batch.arranged()
            #expect(rows.count == 1)
            let row = try #require(rows.first)
            #expect(row.content?.editDate == 9)
            #expect(row.counters?.views == 3)
            #expect(row.deletedAt == 4)
            #expect(batch.superseded.count == 2)
            #expect(batch.arranged().count == 1 && batch.superseded.count == 2)
        }
    }

    @Test func `A batch has its messages in the order of their keys, each once`() {
        for (chat, id, owner) in [(2, 5, 0), (1, 9, 0), (1, 7, 4), (1, 3, 0), (2, 5, 0), (1, 8, 0)]
            as [(Int64, Int64, Int64)]
        {
            batch.add(MessageRow(key: MessageKey(chatID: chat, messageID: id, ownerID: owner), deletedAt: 1))
        }
        #expect(batch.received == 6)
        #expect(batch.arranged().map(\.key.messageID) == [3, 8, 9, 7, 5])
        let parts = batch.arranged().partitioned { $0.key.messageID % 2 == 0 }
        #expect(parts.0.map(\.key.messageID) == [3, 9, 7, 5])
        #expect(parts.1.map(\.key.messageID) == [8])
    }
}
