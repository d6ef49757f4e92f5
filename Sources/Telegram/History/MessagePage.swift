import Accounts
import Envelope
import JSON
import Payloads
import TL
import Updates

/// An answer of Telegram that consists of messages: `messages.Messages`, read in place.
struct MessagePage {
    private let document: TLDocument
    /// The messages of the chat, without the places of deleted ones.
    private var messages: [(id: Int64, view: JSONView)] = []
    private(set) var facts: HistoryPage
    /// The position of the channel's updates, if Telegram told it.
    let pts: Int64?

    /// - Parameter chatID: the chat whose history was asked for, by its Bot API id.
    /// - Throws: `TLError` for an answer without messages, such as `messages.messagesNotModified`.
    init(_ value: TLValue, of chatID: Int64) throws(TLError) {
        document = try value.document()
        let answer = document.view
        pts = answer["pts"]?.int.flatMap { $0 > 0 ? $0 : nil }
        let isWhole = answer["_"]?.isText("messages.messages") ?? false
        facts = HistoryPage(
            items: [], total: answer["count"]?.int, position: answer["offset_id_offset"]?.int, isWhole: isWhole)
        guard let list = answer["messages"], list.isArray else { throw TLError(.notJSON, "the answer has no messages") }
        messages.reserveCapacity(list.elements.count)
        for message in list.elements {
            guard let outline = MessageOutline(message), outline.chatID == chatID else { continue }
            messages.append((outline.id, message))
            facts.items.append(HistoryPage.Item(id: outline.id, date: outline.date))
        }
        if isWhole { facts.total = Int64(messages.count) }
    }

    /// Writes the events of the messages with the given ids, in the order of the ids.
    ///
    /// - Parameter memory: its output is cleared before.
    func writeEvents(of ids: [Int64], _ context: EventContext, _ memory: PageMemory) {
        let writer = PageWriter(own: context.accountID, answer: document.view, memory)
        let output = writer.output
        let endings = context.endings
        var eventIDs = EventIDs()
        var next = 0
        for id in ids {
            guard let message = message(id, from: &next) else { continue }
            let start = output.count
            context.begin(eventIDs.next(), to: output)
            guard let written = writer.write(message) else {
                output.truncate(to: start)
                continue
            }
            if let pts {
                output.put(literal: ",\"pts\":")
                output.put(integer: pts)
            }
            if context.attachesTL {
                output.put(literal: ",\"tl\":")
                output.put(message)
            }
            output.put(written.isOutgoing ? endings.own : endings.other)
            if let media = context.media, let shown = writer.tree(of: message), let command = media.command(for: shown)
            {
                var envelope = context.envelope(command)
                envelope.source = EventSource(message: shown)
                output.put(envelope.line)
            }
        }
    }

    /// Returns those of some messages that have comments.
    func commented(of ids: [Int64]) -> [Int32] {
        var next = 0
        return ids.compactMap { id in
            guard let replies = message(id, from: &next)?["replies"], replies["comments"]?.isTrue ?? false,
                replies["replies"]?.int ?? 0 > 0
            else { return nil }
            return Int32(exactly: id)
        }
    }

    /// Finds a message. The ids are mostly in the order of the page, so the search begins behind the last one found.
    private func message(_ id: Int64, from next: inout Int) -> JSONView? {
        for offset in 0..<messages.count {
            let index = (next + offset) % messages.count
            if messages[index].id == id {
                next = index + 1
                return messages[index].view
            }
        }
        return nil
    }
}

/// Holds the parts of a message that a reading needs.
private struct MessageOutline {
    let id: Int64
    let chatID: Int64
    let date: Int64

    /// Returns nil for the place of a deleted message, and for one without id or chat.
    init?(_ message: JSONView) {
        var (id, chat, date): (Int64?, PeerID?, Int64) = (nil, nil, 0)
        for (key, value) in message.members {
            switch key.count {
            case 1: if key.isEqual(to: "_"), value.isText("messageEmpty") { return nil }
            case 2: if key.isEqual(to: "id") { id = value.int }
            case 4: if key.isEqual(to: "date") { date = value.int ?? 0 }
            case 7: if key.isEqual(to: "peer_id") { chat = PeerID(value) }
            default: break
            }
        }
        guard let id, let chat else { return nil }
        (self.id, chatID, self.date) = (id, chat.botAPI, date)
    }
}
