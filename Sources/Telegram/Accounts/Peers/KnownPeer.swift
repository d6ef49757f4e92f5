import JSON

/// What is kept of a `user`, `chat` or `channel` that Telegram has shown: what it takes to speak to it and to name it.
struct KnownPeer: Equatable {
    let id: PeerID
    /// Telegram's object, with `_` (`user`, `chat`, `channel`), and of its members only some.
    let object: JSONObject
    /// Shown in passing, without what it takes to speak to it.
    let isMin: Bool
    /// Nothing but the title is told of it any more: known members are worth more.
    let isForbidden: Bool

    /// Phone numbers are not kept.
    private static let kept: Set<String> = [
        "id", "access_hash", "first_name", "last_name", "title", "username", "usernames", "bot", "self", "deleted",
        "premium", "verified", "lang_code", "broadcast", "megagroup", "gigagroup", "forum", "monoforum", "noforwards",
        "left", "deactivated", "migrated_to",
    ]
    private static let kinds = [
        "user": "user", "chat": "chat", "channel": "channel", "chatForbidden": "chat", "channelForbidden": "channel",
    ]

    /// nil for what is none of these objects.
    init?(_ shown: JSONObject) {
        guard let name = shown["_"]?.string, let kind = KnownPeer.kinds[name],
            let number = KnownPeer.number(shown["id"])
        else { return nil }
        switch kind {
        case "user": id = .user(number)
        case "chat": id = .chat(number)
        default: id = .channel(number)
        }
        guard PeerID(botAPI: id.botAPI) == id else { return nil }
        isForbidden = name != kind
        let isMin = shown["min"] == true
        self.isMin = isMin
        let members = shown.members.filter { member in
            // The hash of a peer that was shown in passing is not good for speaking to it.
            KnownPeer.kept.contains(member.key) && (member.key != "access_hash" || !isMin)
        }
        object = JSONObject([JSONObject.Member(key: "_", value: .string(kind))] + members)
    }

    init?(kept text: String, isMin: Bool) {
        guard let object = (try? JSON(parsing: text))?.object, let read = KnownPeer(object) else { return nil }
        (id, self.object, self.isMin, isForbidden) = (read.id, read.object, isMin, false)
    }

    /// A `long`, which is a number or a string of digits.
    static func number(_ json: JSON?) -> Int64? { json?.int ?? json?.string.flatMap { Int64($0) } }

    /// Whether it is the account itself.
    var isOwn: Bool { object["self"] == true }

    /// The names by which it can be found, in small letters.
    var names: [String] {
        let more = object["usernames"]?.array ?? []
        let active = more.filter { $0["active"] == true }.compactMap { $0["username"]?.string }
        return ([object["username"]?.string].compactMap { $0 } + active).map { $0.lowercased() }
    }

    /// nil while there is no way to speak to it.
    var handle: PeerHandle? {
        switch id {
        case .chat: PeerHandle(id: id, accessHash: 0)
        case .user, .channel: object["access_hash"].map { PeerHandle(id: id, accessHash: $0) }
        }
    }

    /// All peers in a result or update, wherever they are.
    static func all(in json: JSON) -> [KnownPeer] {
        var found: [KnownPeer] = []
        collect(json, into: &found)
        return found
    }

    private static func collect(_ json: JSON, into found: inout [KnownPeer]) {
        switch json {
        case .array(let items): for item in items { collect(item, into: &found) }
        case .object(let object):
            if let peer = KnownPeer(object) { return found.append(peer) }
            for member in object.members { collect(member.value, into: &found) }
        default: return
        }
    }
}

/// What it takes to speak to a peer, in each of the ways in which methods want it.
struct PeerHandle {
    let id: PeerID
    /// As it came: a number, or a string of digits. Users and channels have one.
    let accessHash: JSON

    /// The types of parameters that a short form can stand for.
    static let types: Set<String> = ["InputPeer", "InputUser", "InputChannel", "InputDialogPeer", "InputNotifyPeer"]

    /// nil when the type cannot hold such a peer.
    func input(_ type: String) -> JSON? {
        switch (type, id) {
        case ("InputPeer", .user(let number)): numbered("inputPeerUser", "user_id", number)
        case ("InputPeer", .channel(let number)): numbered("inputPeerChannel", "channel_id", number)
        case ("InputPeer", .chat(let number)): .object(["_": "inputPeerChat", "chat_id": .integer(number)])
        case ("InputUser", .user(let number)): numbered("inputUser", "user_id", number)
        case ("InputChannel", .channel(let number)): numbered("inputChannel", "channel_id", number)
        default: PeerHandle.wrapped(type, input)
        }
    }

    /// The account itself.
    static func own(_ type: String) -> JSON? {
        switch type {
        case "InputPeer": .object(["_": "inputPeerSelf"])
        case "InputUser": .object(["_": "inputUserSelf"])
        default: wrapped(type, own)
        }
    }

    private static func wrapped(_ type: String, _ input: (String) -> JSON?) -> JSON? {
        let constructors = ["InputDialogPeer": "inputDialogPeer", "InputNotifyPeer": "inputNotifyPeer"]
        guard let constructor = constructors[type], let peer = input("InputPeer") else { return nil }
        return .object(["_": .string(constructor), "peer": peer])
    }

    private func numbered(_ constructor: String, _ key: String, _ number: Int64) -> JSON {
        .object(["_": .string(constructor), key: .integer(number), "access_hash": accessHash])
    }
}
