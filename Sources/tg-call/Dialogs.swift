import Accounts
import JSON
import System
import TL
import Updates

/// One chat of the account's list.
struct Dialog {
    let id: PeerID
    let json: JSONObject

    /// Reads a `dialog` of a page of `messages.getDialogs`; nil for anything else, such as a folder.
    init?(_ dialog: JSON, in page: DialogPage) {
        guard dialog["_"] == "dialog", let id = dialog["peer"].flatMap({ PeerID(tl: $0) }) else { return nil }
        self.id = id
        let peer = page.peers[id]
        let top = dialog["top_message"]?.long ?? 0
        let date = page.dates[DialogPage.MessageKey(peer: id, id: top)].map { Timestamp(milliseconds: $0 * 1000) }
        json = [
            "id": .integer(id.botAPI), "type": .string(Dialog.type(of: id, peer)),
            "title": .string(Dialog.title(of: peer)), "username": Dialog.userName(of: peer).map { .string($0) },
            "unread": dialog["unread_count"], "pinned": dialog["pinned"] == true ? true : nil,
            "archived": dialog["folder_id"]?.long == 1 ? true : nil,
            "last_message_id": top > 0 ? .integer(top) : nil,
            "last_message_at": (date?.description).map { .string($0) },
        ]
    }

    private static func type(of id: PeerID, _ peer: JSON?) -> String {
        switch id {
        case .user: peer?["bot"] == true ? "bot" : "private"
        case .chat: "group"
        case .channel: peer?["megagroup"] == true ? "supergroup" : "channel"
        }
    }

    private static func title(of peer: JSON?) -> String {
        if let title = peer?["title"]?.string { return title }
        if peer?["deleted"] == true { return "Deleted Account" }
        return ["first_name", "last_name"].compactMap { peer?[$0]?.string }.filter { !$0.isEmpty }
            .joined(separator: " ")
    }

    private static func userName(of peer: JSON?) -> String? {
        if let name = peer?["username"]?.string { return name }
        return peer?["usernames"]?.array?.first { $0["active"] == true }?["username"]?.string
    }

    /// The dialog as a line for people: id, type, number of unread messages, title and user name.
    var text: String {
        func field(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        func leading(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        let unread = json["unread"]?.int ?? 0
        let name = json["username"]?.string.map { " @\($0)" } ?? ""
        let line =
            field(String(id.botAPI), 15) + "  " + leading(json["type"]?.string ?? "", 10)
            + field(unread > 0 ? String(unread) : "", 7) + "  " + (json["title"]?.string ?? "") + name
        return line.printable
    }
}

/// A page of `messages.getDialogs`, with its peers and the dates of the newest messages.
struct DialogPage {
    struct MessageKey: Hashable {
        let peer: PeerID
        let id: Int64
    }

    let dialogs: [JSON]
    fileprivate private(set) var peers: [PeerID: JSON] = [:]
    fileprivate private(set) var dates: [MessageKey: Int64] = [:]

    /// Returns nil if the result is of another form.
    init?(_ result: JSON) {
        guard let dialogs = result["dialogs"]?.array else { return nil }
        self.dialogs = dialogs
        for user in result["users"]?.array ?? [] { user["id"]?.long.map { peers[.user($0)] = user } }
        for chat in result["chats"]?.array ?? [] {
            guard let id = chat["id"]?.long else { continue }
            let isChannel = chat["_"]?.string?.hasPrefix("channel") == true
            peers[isChannel ? .channel(id) : .chat(id)] = chat
        }
        for message in result["messages"]?.array ?? [] {
            if let peer = message["peer_id"].flatMap({ PeerID(tl: $0) }), let id = message["id"]?.long {
                dates[MessageKey(peer: peer, id: id)] = (message["date"]?.int).flatMap { Int32(exactly: $0) }.map(
                    Int64.init)
            }
        }
    }
}

/// Reads the account's list of chats, the newest first.
struct DialogReader {
    /// Makes a call; nil when the shutdown ended it early.
    let call: (String, JSONObject) async throws -> JSON?

    /// Passes each chat on once.
    ///
    /// - Throws: what the call throws; `ToolError` with exit status 76 for an answer of another form.
    func read(_ take: ([Dialog]) async throws -> Void) async throws {
        var known: Set<PeerID> = []
        var next: DialogOffset? = DialogOffset()
        while let offset = next {
            guard let result = try await call("messages.getDialogs", offset.parameters) else {
                throw CancellationError()
            }
            guard let page = DialogPage(result) else {
                throw ToolError(.protocolBroken, "messages.getDialogs has no dialogs in its answer")
            }
            // The list changes while it is read: a chat with a new message is moved to its beginning.
            let new = page.dialogs.compactMap { Dialog($0, in: page) }.filter { known.insert($0.id).inserted }
            try await take(new)
            next = new.isEmpty ? nil : offset.next(after: result, mostPages: .max)
        }
    }
}
