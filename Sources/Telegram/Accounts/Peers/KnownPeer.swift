import JSON

/// The stored part of a `user`, `chat` or `channel` object: what is needed to address the peer and to name it.
struct KnownPeer: Equatable {
    /// Members of Telegram's objects that the code reads; all others are only stored.
    private enum Key {
        static let constructor = "_"
        static let id = "id"
        static let accessHash = "access_hash"
        static let isMin = "min"
        static let isOwn = "self"
        static let name = "username"
        static let names = "usernames"
        static let isActive = "active"
    }

    let id: PeerID
    /// Telegram's object with some of its members, among them `_` (`user`, `chat` or `channel`).
    let object: JSONObject
    /// Is true for a `min` object, whose access hash cannot be used to address the peer.
    let isMin: Bool
    /// Is true for a forbidden chat or channel, of which Telegram shows only the title. It does not replace a stored
    /// object.
    let isForbidden: Bool

    /// The members that are stored. Phone numbers are not among them.
    private static let kept: Set<String> = [
        "id", "access_hash", "first_name", "last_name", "title", "username", "usernames", "bot", "self", "deleted",
        "premium", "verified", "lang_code", "broadcast", "megagroup", "gigagroup", "forum", "monoforum", "noforwards",
        "left", "deactivated", "migrated_to",
    ]
    private static let kinds = [
        "user": "user", "chat": "chat", "channel": "channel", "chatForbidden": "chat", "channelForbidden": "channel",
    ]

    /// Returns nil if the object is not a user, chat or channel.
    init?(_ shown: JSONObject) {
        guard let name = shown[Key.constructor]?.string, let kind = KnownPeer.kinds[name],
            let number = shown[Key.id]?.long
        else { return nil }
        switch kind {
        case "user": id = .user(number)
        case "chat": id = .chat(number)
        default: id = .channel(number)
        }
        guard PeerID(botAPI: id.botAPI) == id else { return nil }
        isForbidden = name != kind
        let isMin = shown[Key.isMin] == true
        self.isMin = isMin
        let members = shown.members.filter { member in
            // The access hash of a `min` object cannot be used to address the peer.
            KnownPeer.kept.contains(member.key) && (member.key != Key.accessHash || !isMin)
        }
        object = JSONObject([JSONObject.Member(key: Key.constructor, value: .string(kind))] + members)
    }

    init?(kept text: String, isMin: Bool) {
        guard let object = (try? JSON(parsing: text))?.object, let read = KnownPeer(object) else { return nil }
        (id, self.object, self.isMin, isForbidden) = (read.id, read.object, isMin, false)
    }

    /// Is true for the account itself.
    var isOwn: Bool { object[Key.isOwn] == true }

    /// The peer's user names, in lower case.
    var names: [String] {
        let more = object[Key.names]?.array ?? []
        let active = more.filter { $0[Key.isActive] == true }.compactMap { $0[Key.name]?.string }
        return ([object[Key.name]?.string].compactMap { $0 } + active).map { $0.lowercased() }
    }

    /// The peer's handle; nil if its access hash is unknown.
    var handle: PeerHandle? {
        switch id {
        case .chat: PeerHandle(id: id, accessHash: 0)
        case .user, .channel: object[Key.accessHash].map { PeerHandle(id: id, accessHash: $0) }
        }
    }

    /// Finds the objects of all peers in a result or update, at any depth.
    static func forEach(in value: JSONView, _ body: (JSONView) -> Void) {
        if value.isArray {
            for item in value.elements { forEach(in: item, body) }
        } else if isPeer(value) {
            body(value)
        } else {
            for (_, member) in value.members where member.isObject || member.isArray { forEach(in: member, body) }
        }
    }

    private static func isPeer(_ object: JSONView) -> Bool {
        guard let name = object[Names.constructor]?.text else { return false }
        return Names.kinds.contains { name.isEqual(to: $0) }
    }

    private enum Names {
        static let constructor: StaticString = "_"
        static let kinds: [StaticString] = ["user", "chat", "channel", "chatForbidden", "channelForbidden"]
    }
}

/// Addresses a peer: makes the input objects that methods take, from its id and access hash.
struct PeerHandle {
    let id: PeerID
    /// The access hash as Telegram sent it: a number, or a string of digits. Unused for basic groups.
    let accessHash: JSON

    /// The parameter types in whose place a short form may be given.
    static let types: Set<String> = ["InputPeer", "InputUser", "InputChannel", "InputDialogPeer", "InputNotifyPeer"]

    /// Returns the input object of a type; nil if the type cannot hold this kind of peer.
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

    /// Returns the input object of a type for the account itself.
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
