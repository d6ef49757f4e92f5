import JSON
import MTProto
import Synchronization
import System
import TL

/// Whom the book asks what it does not know: the account that it is of.
struct PeerSource: Sendable {
    typealias Call = @Sendable (_ method: String, _ parameters: JSONObject) async throws -> [UInt8]

    let account: AccountIdentity
    /// How long one waits for the answer to somebody else's question.
    let patience: Duration
    /// Results are noted in the book anyway; waits that Telegram has told before are kept to.
    let call: Call
}

extension PeerStore {
    /// How long the list of dialogs is not read again in search of somebody.
    private static let searchPause = Duration.seconds(600)

    /// Puts objects in the place of short forms: `me`, `@name`, links, ids.
    ///
    /// An unknown name is asked for once (`contacts.resolveUsername`), for an unknown id the newest dialogs are read.
    ///
    /// - Throws: `TLError` with the path for what can stand for no peer, or not for one of the type that is wanted; `AccountError`,
    ///   `unknownPeer`; whatever `source` throws.
    func expanding(
        _ parameters: JSONObject, of method: String, in schema: TLSchema, _ source: PeerSource
    ) async throws -> JSONObject {
        var places: [TLPlace] = []
        _ = schema.replacing(PeerHandle.types, in: .object(parameters), of: method) { place in
            places.append(place)
            return nil
        }
        guard !places.isEmpty else { return parameters }
        var inputs: [TLPlace: JSON] = [:]
        for place in places { inputs[place] = try await input(for: place, source) }
        let expanded = schema.replacing(PeerHandle.types, in: .object(parameters), of: method) { inputs[$0] }
        return expanded.object ?? parameters
    }

    /// nil for what is no short form.
    private func input(for place: TLPlace, _ source: PeerSource) async throws -> JSON? {
        let input: JSON?
        let kind: String
        switch PeerReference(place.value) {
        case nil: return nil
        case .refused(let reason): throw TLError(.wrongValue, reason, path: place.path)
        case .own: (input, kind) = (PeerHandle.own(place.type), "the account itself")
        case .id(.user(source.account.userID)): (input, kind) = (PeerHandle.own(place.type), "the account itself")
        case .id(let id):
            let handle = try await handle(of: id, at: place, source)
            (input, kind) = (handle.input(place.type), "a \(handle.id.kind)")
        case .name(let name):
            let handle = try await handle(named: name, at: place, source)
            (input, kind) = (handle.input(place.type), "a \(handle.id.kind)")
        }
        guard let input else { throw TLError(.wrongValue, "is \(kind), which is no \(place.type)", path: place.path) }
        return input
    }

    /// Asks for what is not known, unless somebody is asking for it already.
    ///
    /// - Parameter look: finds what is known by now.
    private func once<Value>(
        _ question: String, _ source: PeerSource, look: () async throws -> Value?, ask: () async throws -> Value
    ) async throws -> Value {
        while true {
            if let known = try await look() { return known }
            let own = Promise<Void>()
            let other = questions.withLock { questions in
                defer { questions[question] = questions[question] ?? own }
                return questions[question]
            }
            guard let other else {
                defer {
                    questions.withLock { _ = $0.removeValue(forKey: question) }
                    own.fulfil(.success(()))
                }
                // It may have been answered since.
                if let known = try await look() { return known }
                return try await ask()
            }
            try await within(source.patience, "Telegram has not said in time who is meant") { try await other.value() }
        }
    }

    // MARK: Names

    private func handle(named name: String, at place: TLPlace, _ source: PeerSource) async throws -> PeerHandle {
        try await once("@" + name, source) {
            try await knownHandle(named: name, at: place)
        } ask: {
            try await ask(for: name, at: place, source)
        }
    }

    private func knownHandle(named name: String, at place: TLPlace) async throws -> PeerHandle? {
        switch try await owner(of: name) {
        case .unknown: return nil
        case .nobody: throw nobody(name, place)
        case .peer(let id): return try await known(id)?.handle
        }
    }

    private func ask(for name: String, at place: TLPlace, _ source: PeerSource) async throws -> PeerHandle {
        let answer: [UInt8]
        do {
            answer = try await source.call("contacts.resolveUsername", ["username": .string(name)])
        } catch let error as TelegramRPCError where error.code == 400 && error.name.hasPrefix("USERNAME_") {
            try await setName(name, nil)
            throw nobody(name, place)
        }
        await note(answer)
        guard let id = PeerID((try JSON(parsing: answer))["peer"]) else { throw nobody(name, place) }
        try await setName(name, id.botAPI)
        guard let handle = try await known(id.botAPI)?.handle else { throw stranger(id, place) }
        return handle
    }

    // MARK: Ids

    private func handle(of id: PeerID, at place: TLPlace, _ source: PeerSource) async throws -> PeerHandle {
        let found = try await once("dialogs", source) {
            try await knownHandle(of: id, source).map { PeerHandle?.some($0) }
        } ask: {
            try await search(source)
            return try await knownHandle(of: id, source)
        }
        if let found { return found }
        // Who was only shown in passing may have shown a name.
        guard let name = try await known(id.botAPI)?.names.first else { throw stranger(id, place) }
        let handle = try await handle(named: name, at: place, source)
        guard handle.id == id else { throw stranger(id, place) }
        return handle
    }

    private func knownHandle(of id: PeerID, _ source: PeerSource) async throws -> PeerHandle? {
        if let known = try await known(id.botAPI)?.handle { return known }
        // Basic groups need no hash; bots need none for anybody.
        if case .chat = id { return PeerHandle(id: id, accessHash: 0) }
        return source.account.isBot ? PeerHandle(id: id, accessHash: 0) : nil
    }

    /// The newest dialogs bring whoever was written with lately.
    private func search(_ source: PeerSource) async throws {
        let isDue = lastSearch.withLock { last in
            if let last, last + PeerStore.searchPause > .now { return false }
            last = .now
            return true
        }
        guard isDue else { return }
        do {
            await note(
                try await source.call(
                    "messages.getDialogs",
                    [
                        "offset_date": 0, "offset_id": 0, "offset_peer": .object(["_": "inputPeerEmpty"]), "limit": 100,
                        "hash": 0,
                    ]))
        } catch let error as TelegramRPCError where error.wait != nil {
            return
        }
    }

    private func nobody(_ name: String, _ place: TLPlace) -> AccountError {
        AccountError(.unknownPeer, "\(place.path): nobody has the name @\(name)")
    }

    private func stranger(_ id: PeerID, _ place: TLPlace) -> AccountError {
        AccountError(
            .unknownPeer,
            "\(place.path): the \(id.kind) \(id.botAPI) has not been seen by this account, and cannot be spoken to by its id alone: "
                + "use @name, or have it seen first (messages.getDialogs, contacts.getContacts, the members of a group)"
        )
    }
}

extension PeerID {
    /// A `Peer` of Telegram.
    init?(_ json: JSON?) {
        if let id = KnownPeer.number(json?["user_id"]) {
            self = .user(id)
        } else if let id = KnownPeer.number(json?["chat_id"]) {
            self = .chat(id)
        } else if let id = KnownPeer.number(json?["channel_id"]) {
            self = .channel(id)
        } else {
            return nil
        }
    }

    fileprivate var kind: String {
        switch self {
        case .user: "user"
        case .chat: "basic group"
        case .channel: "channel"
        }
    }
}
