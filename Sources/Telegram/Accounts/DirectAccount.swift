package import JSON
import Logging
import MTProto
import Synchronization
import System
package import TL

/// Uses an account over connections of this process.
///
/// `run` must be running for calls and events to work. No other process may use the session meanwhile: see `SessionLock`.
package final class DirectAccount: Account {
    struct State {
        /// The account; nil until Telegram has identified it.
        var identity: AccountIdentity?
        /// Is true if Telegram knows the session's key as that of an account.
        var isLoggedIn: Bool
        /// The reason why the account can no longer be used.
        var end: (any ReportableError)?
    }

    package let schema: TLSchema
    let settings: AccountSettings
    let keeper: SessionKeeper
    let log: Logger
    let floods: any FloodLedger
    let peers: PeerStore?
    let sent: SentMessages?
    let hub = EventHub()
    let state: Mutex<State>
    let uploaded = UploadedFiles()
    private let jobs = BackgroundTasks()
    private let decoder: SharedTLDecoder
    private let madeLinks = Mutex<ConnectionPool?>(nil)

    init(
        _ settings: AccountSettings, _ keeper: SessionKeeper, floods: any FloodLedger, peers: PeerStore? = nil,
        sent: SentMessages? = nil, log: Logger
    ) {
        (self.settings, self.keeper, self.floods, self.peers, self.log) = (settings, keeper, floods, peers, log)
        self.sent = sent
        schema = settings.schema
        decoder = SharedTLDecoder(settings.schema)
        let session = keeper.session
        state = Mutex(
            State(
                identity: session.userID.map { AccountIdentity(userID: $0, isBot: session.isBot) },
                isLoggedIn: session.key != nil, end: nil))
    }

    /// The account's id; 0 until Telegram has identified the account.
    package var userID: Int64 { state.withLock { $0.identity?.userID } ?? 0 }
    package var isBot: Bool { state.withLock { $0.identity?.isBot } ?? false }

    var isLoggedIn: Bool { state.withLock { $0.isLoggedIn } }

    var links: ConnectionPool {
        madeLinks.withLock { made in
            if let made { return made }
            let links = ConnectionPool(
                settings, keeper, jobs,
                report: { [weak self] event, link in await self?.take(event, of: link) },
                ending: { [weak self] error, link in await self?.ended(link, error) })
            made = links
            return links
        }
    }

    /// Keeps the connections up until the task is cancelled.
    func run() async {
        await jobs.run()
        hub.end(nil)
    }

    /// Adds a task that is cancelled when `run` ends.
    func later(_ job: @escaping @Sendable () async -> Void) { jobs.add(job) }

    package func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable {
        let events = try hub.listen()
        _ = try await links.main()
        return events
    }

    package func peer(_ id: Int64) async throws -> JSON? { try await peers?.known(botAPI: id) }

    package func sentByProgram(_ message: JSON) async throws -> Bool { await sent?.contains(message) ?? false }

    /// Returns authorised connections to a data centre, for raw TL calls that transfer parts of files in parallel.
    ///
    /// Repeat a call that is refused with `AUTH_KEY_UNREGISTERED` after `authorizeAgain`.
    func connections(to dataCenter: Int, count: Int) async throws -> [Connection] {
        try await links.forFiles(dataCenter, count: count)
    }

    func authorizeAgain(_ dataCenter: Int) async throws { try await links.authorizeAgain(dataCenter) }

    /// Returns a connection to a data centre of the content delivery network, for `upload.getCdnFile`.
    func contentNetwork(_ dataCenter: Int) async throws -> Connection { try await links.contentNetwork(dataCenter) }

    /// Decodes a result or an update.
    ///
    /// - Throws: `TLError` when the bytes are not a value of the type.
    func decoded(_ bytes: [UInt8], as type: TLType) throws(TLError) -> TLValue {
        let value = TLValue(bytes: bytes, as: type, decoder: decoder)
        // Decoded here, so that a fault is reported where the value came from.
        do throws(TLError) { _ = try value.document() } catch  where error.code == .unknownConstructor {
            throw TLError(
                error.code,
                "\(error.reason); the server may speak another layer than \(settings.layer): choose one with --layer",
                path: error.path, offset: error.offset)
        }
        return value
    }

    /// Ends the use of the account. Of several reasons, the first one is reported.
    func end(_ error: any ReportableError) async {
        let isFirst = state.withLock { state in
            defer { state.end = state.end ?? error }
            return state.end == nil
        }
        guard isFirst else { return }
        hub.end(error)
        await links.stop()
    }

    func throwIfEnded() throws {
        if let end = state.withLock({ $0.end }) { throw end }
    }
}

// MARK: - Events

extension DirectAccount {
    private func take(_ event: ConnectionEvent, of link: DataCenterConnection) async {
        let number = link.dataCenter
        switch event {
        case .key(let key) where link.purpose != .cdn: await save { $0.keys[number] = key }
        // The salts of temporary keys are not stored, because they end with their keys.
        case .salt(let salt) where link.purpose != .cdn && !settings.usesTemporaryKeys:
            await save { $0.salts[number] = salt }
        case .key, .salt: break
        case .update(let bytes) where link.purpose == .main: await takeUpdate(bytes)
        case .update: break
        case .gap: if link.purpose == .main { hub.add(.gap) }
        case .ready: if link.purpose == .main { hub.add(.ready) }
        case .waiting(let pause, let error):
            log.debug(
                "no connection to data centre \(number): \(error.message); connecting again in \(pause.shortText)")
            if link.purpose == .main { hub.add(.waiting(error.message)) }
        }
    }

    private func save(_ change: @escaping @Sendable (inout AccountSession) -> Void) async {
        do { try await keeper.update(change) } catch { log.error("unable to save the session: \(error)") }
    }

    private func takeUpdate(_ bytes: [UInt8]) async {
        do {
            let updates = try decoded(bytes, as: schema.type("Updates") ?? .object)
            await peers?.note(updates)
            hub.add(.updates(updates))
        } catch {
            log.warning("unable to decode an update from Telegram: \(error); requesting the difference")
            hub.add(.gap)
        }
    }

    /// Handles the permanent failure of a connection.
    private func ended(_ link: DataCenterConnection, _ error: MTProtoError) async {
        if link.purpose == .main { return await end(error) }
        log.warning("the connection to data centre \(link.dataCenter) has ended: \(error.message)")
        guard error.code == .unknownKey, link.purpose == .files, link.dataCenter != keeper.session.dataCenter else {
            return
        }
        let number = link.dataCenter
        // The next connection makes a new key, and imports the authorisation again.
        await save { $0.keys[number] = nil }
    }
}

extension Duration {
    /// The duration in seconds for the log, below ten seconds with one decimal.
    var shortText: String {
        let tenths = (components.seconds * 10) + components.attoseconds / 100_000_000_000_000_000
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10) s" : "\(tenths / 10) s"
    }
}
