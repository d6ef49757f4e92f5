import JSON
import MTProto
import Synchronization
import System
import TL

/// Resolves what the peer store does not know, by calls of its account.
struct PeerSource: Sendable {
    typealias Call = @Sendable (_ method: String, _ parameters: JSONObject) async throws -> TLValue

    let account: AccountIdentity
    /// The longest wait for the answer to a concurrent request for the same peer.
    let timeout: Duration
    /// Calls a method. The account stores the peers of each result, and respects known flood waits.
    let call: Call
}

extension PeerStore {
    /// The shortest time between two readings of the dialogs in search of a peer.
    private static let searchPause = Duration.seconds(600)

    /// Replaces short forms by input objects: `me`, `@name`, links, ids.
    ///
    /// An unknown name is resolved by one `contacts.resolveUsername`; for an unknown id the newest dialogs are read.
    ///
    /// - Throws: `TLError` with the path, if a short form is invalid or means a peer of the wrong type; `AccountError`,
    ///   `unknownPeer`; the errors of `source`.
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

    /// Returns the input object; nil if the value is not a short form.
    private func input(for place: TLPlace, _ source: PeerSource) async throws -> JSON? {
        let input: JSON?
        let kind: String
        switch PeerReference(place.value) {
        case nil: return nil
        case .invalid(let reason): throw TLError(.wrongValue, reason, path: place.path)
        case .own: (input, kind) = (PeerHandle.own(place.type), "the account itself")
        case .id(.user(source.account.userID)): (input, kind) = (PeerHandle.own(place.type), "the account itself")
        case .id(let id):
            let handle = try await handle(of: id, at: place, source)
            (input, kind) = (handle.input(place.type), "a \(handle.id.kind)")
        case .name(let name):
            let handle = try await handle(named: name, at: place, source)
            (input, kind) = (handle.input(place.type), "a \(handle.id.kind)")
        }
        guard let input else {
            throw TLError(.wrongValue, "is \(kind); \(place.type) cannot hold it", path: place.path)
        }
        return input
    }

    /// Requests an unknown peer. Concurrent callers with the same question share one request.
    ///
    /// - Parameter look: returns the answer if it is known by now.
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
                // Another request may have been answered since.
                if let known = try await look() { return known }
                return try await ask()
            }
            try await within(source.timeout, "Telegram did not resolve the peer in time") { try await other.value() }
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
        case .nobody: throw unknownName(name, place)
        case .peer(let id): return try await known(id)?.handle
        }
    }

    private func ask(for name: String, at place: TLPlace, _ source: PeerSource) async throws -> PeerHandle {
        if !source.account.isBot { try await countResolution(of: name) }
        let answer: TLValue
        do {
            answer = try await source.call("contacts.resolveUsername", ["username": .string(name)])
        } catch let error as TelegramRPCError where error.code == 400 && error.name.hasPrefix("USERNAME_") {
            try await setName(name, nil)
            throw unknownName(name, place)
        }
        await note(answer)
        guard let id = try answer.json()["peer"].flatMap({ PeerID(tl: $0) }) else { throw unknownName(name, place) }
        try await setName(name, id.botAPI)
        guard let handle = try await known(id.botAPI)?.handle else { throw unknownID(id, place) }
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
        // A peer known only by a `min` object may have a user name.
        guard let name = try await known(id.botAPI)?.names.first else { throw unknownID(id, place) }
        let handle = try await handle(named: name, at: place, source)
        guard handle.id == id else { throw unknownID(id, place) }
        return handle
    }

    private func knownHandle(of id: PeerID, _ source: PeerSource) async throws -> PeerHandle? {
        if let known = try await known(id.botAPI)?.handle { return known }
        // Basic groups need no access hash, and bots need none at all.
        if case .chat = id { return PeerHandle(id: id, accessHash: 0) }
        return source.account.isBot ? PeerHandle(id: id, accessHash: 0) : nil
    }

    /// Reads the newest dialogs, so that peers of recent conversations become known.
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

    private func unknownName(_ name: String, _ place: TLPlace) -> AccountError {
        AccountError(.unknownPeer, "\(TLError.place(of: place.path)): no user, group or channel has the name @\(name)")
    }

    private func unknownID(_ id: PeerID, _ place: TLPlace) -> AccountError {
        AccountError(
            .unknownPeer,
            "\(TLError.place(of: place.path)): the \(id.kind) \(id.botAPI) is unknown to this account, and an id alone is not enough to address it: "
                + "use its @name, or let the account meet it first (tg-call --dialogs lists its chats; contacts.getContacts or the members of a group return others)"
        )
    }
}

extension PeerID {
    fileprivate var kind: String {
        switch self {
        case .user: "user"
        case .chat: "basic group"
        case .channel: "channel"
        }
    }
}
