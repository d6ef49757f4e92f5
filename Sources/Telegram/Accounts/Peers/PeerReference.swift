package import JSON

/// A short form that a user writes in place of an `InputPeer` and similar objects.
enum PeerReference: Equatable {
    case own
    /// A user name in lower case, without `@`.
    case name(String)
    case id(PeerID)
    /// Text that cannot mean a peer, with the reason.
    case invalid(String)

    /// Returns nil for JSON that is not a short form; the encoder then reports what is wrong with it.
    init?(_ json: JSON) {
        switch json {
        case .integer(let number): self = PeerReference.id(number)
        case .string(let text), .escaped(let text, _): self = PeerReference(text)
        default: return nil
        }
    }

    private init(_ text: String) {
        if ["me", "@me", "self"].contains(text.lowercased()) {
            self = .own
        } else if let query = text.without("tg://") ?? text.without("tg:") {
            self = PeerReference.application(query)
        } else if let path = PeerReference.path(of: text) {
            self = PeerReference.link(path)
        } else if text.hasPrefix("+") {
            self = PeerReference.plus(text.dropFirst())
        } else if let number = Int64(text) {
            self = PeerReference.id(number)
        } else {
            self = PeerReference.name(text.hasPrefix("@") ? text.dropFirst() : text[...])
        }
    }

    private static func id(_ number: Int64) -> PeerReference {
        PeerID(botAPI: number).map { .id($0) } ?? .invalid("is not an id in the Bot API's form")
    }

    /// Accepts Telegram's user names, and the shorter ones sold as collectibles.
    private static func name(_ text: Substring) -> PeerReference {
        let isRight = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || byte == UInt8(ascii: "_")
        }
        guard isRight, (2...32).contains(text.utf8.count), text.first?.isLetter == true else {
            return .invalid("is not a peer: use me, @name, a t.me link or an id")
        }
        return .name(text.lowercased())
    }

    private static func plus(_ text: Substring) -> PeerReference {
        guard text.allSatisfy({ $0.isNumber || " -()".contains($0) }) else { return invitation }
        return .invalid("is a phone number, not a peer: use contacts.resolvePhone or contacts.importContacts first")
    }

    private static let invitation = PeerReference.invalid(
        "is an invitation, not a peer: join the chat with messages.importChatInvite, then use its id"
    )

    /// Returns the path of a link; nil if it is not a link to Telegram.
    private static func path(of text: String) -> Substring? {
        let rest = text.without("https://") ?? text.without("http://") ?? text[...]
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let host = rest[..<end].lowercased()
        let path = rest[end...].prefix { $0 != "?" && $0 != "#" }
        let own = ["t.me", "telegram.me", "telegram.dog", "www.t.me", "www.telegram.me"]
        if own.contains(host) { return path }
        if host.hasSuffix(".t.me") { return host.dropLast(".t.me".count) }
        // A link to another site. The path cannot be a user name, so that the caller refuses it.
        return rest.startIndex == text.startIndex ? nil : "/-"
    }

    private static func link(_ path: Substring) -> PeerReference {
        let steps = path.split(separator: "/")
        guard let first = steps.first else { return other }
        if first.hasPrefix("+") { return plus(first.dropFirst()) }
        switch first.lowercased() {
        case "joinchat": return invitation
        case "c": return channel(steps.dropFirst().first)
        case "s": return steps.count > 1 ? name(steps[1]) : other
        case let word where functions.contains(word): return other
        default: return name(first)
        }
    }

    private static let other = PeerReference.invalid("is a link that does not lead to a chat")

    /// First path components of links that do not lead to a chat.
    private static let functions: Set<String> = [
        "addstickers", "addemoji", "addlist", "addstyle", "addtheme", "bg", "boost", "call", "confirmphone", "contact",
        "giftcode", "invoice", "iv", "login", "m", "nft", "proxy", "setlanguage", "share", "socks",
    ]

    private static func channel(_ text: Substring?) -> PeerReference {
        guard let number = text.flatMap({ Int64($0) }), (1...Int64(1) << 40).contains(number) else { return other }
        return id(PeerID.channel(number).botAPI)
    }

    /// `tg://…`, as the applications open them.
    private static func application(_ text: Substring) -> PeerReference {
        let parts = text.split(separator: "?", maxSplits: 1)
        let pairs = (parts.count > 1 ? parts[1] : "").split(separator: "&").map {
            $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        }
        func value(_ key: String) -> Substring? { pairs.first { $0.count == 2 && $0[0] == key }?[1] }
        switch parts.first.map({ $0.last == "/" ? $0.dropLast() : $0 })?.lowercased() {
        case "resolve": return value("domain").map(name) ?? plus("")
        case "user", "openmessage":
            if let number = (value("id") ?? value("user_id")).flatMap({ Int64($0) }) { return id(number) }
            return value("chat_id").flatMap { Int64($0) }.map { id(-$0) } ?? other
        case "privatepost": return channel(value("channel"))
        case "join": return invitation
        default: return other
        }
    }
}

extension String {
    /// Returns the text after a prefix, which is compared without regard to case; nil if the text does not begin with
    /// it.
    fileprivate func without(_ prefix: String) -> Substring? {
        self.prefix(prefix.count).lowercased() == prefix ? dropFirst(prefix.count) : nil
    }
}

/// The id of a user, basic group or channel in MTProto, converted from and to the Bot API's single number.
///
/// Source: https://core.telegram.org/api/bots/ids
package enum PeerID: Sendable, Hashable {
    case user(Int64)
    case chat(Int64)
    case channel(Int64)

    private static let channels: Int64 = 1_000_000_000_000
    private static let maxUser: Int64 = 1 << 40
    private static let maxChat: Int64 = 999_999_999_999
    private static let maxChannel: Int64 = 997_852_516_352

    /// Returns nil if the number is not a valid id.
    package init?(botAPI id: Int64) {
        switch id {
        case 1..<PeerID.maxUser: self = .user(id)
        case -PeerID.maxChat...(-1): self = .chat(-id)
        case (-PeerID.channels - PeerID.maxChannel)..<(-PeerID.channels): self = .channel(-id - PeerID.channels)
        default: return nil
        }
    }

    /// The Bot API's id: a user's id, a basic group's as a negative number, `-100…` for channels and supergroups.
    package var botAPI: Int64 {
        switch self {
        case .user(let id): id
        // A server may send any number; the arithmetic must not trap.
        case .chat(let id): 0 &- id
        case .channel(let id): -PeerID.channels &- id
        }
    }
}

extension PeerID {
    /// Reads a `Peer` of TL.
    package init?(tl peer: JSON) {
        if let id = peer["user_id"]?.long {
            self = .user(id)
        } else if let id = peer["chat_id"]?.long {
            self = .chat(id)
        } else if let id = peer["channel_id"]?.long {
            self = .channel(id)
        } else {
            return nil
        }
    }
}
