package import JSON
import Logging
import MTProto
import Synchronization
import System
package import TL

/// An account over connections of this process.
///
/// Somebody must be in `run` all the time. Nobody else may use the session meanwhile: see `SessionLock`.
package final class DirectAccount: Account {
    struct State {
        /// nil until Telegram has told.
        var identity: AccountIdentity?
        /// Is true if Telegram knows the session's key as that of an account.
        var isLoggedIn: Bool
        /// Why the account cannot be used any more.
        var end: (any ReportableError)?
    }

    package let schema: TLSchema
    let settings: AccountSettings
    let keeper: SessionKeeper
    let log: Logger
    let floods: any FloodLedger
    let peers: PeerStore?
    let hub = EventHub()
    let state: Mutex<State>
    let uploaded = UploadedFiles()
    private let jobs = BackgroundTasks()
    private let decoder: Mutex<TLDecoder>
    private let madeLinks = Mutex<ConnectionPool?>(nil)

    init(
        _ settings: AccountSettings, _ keeper: SessionKeeper, floods: any FloodLedger, peers: PeerStore? = nil,
        log: Logger
    ) {
        (self.settings, self.keeper, self.floods, self.peers, self.log) = (settings, keeper, floods, peers, log)
        schema = settings.schema
        decoder = Mutex(TLDecoder(settings.schema))
        let session = keeper.session
        state = Mutex(
            State(
                identity: session.userID.map { AccountIdentity(userID: $0, isBot: session.isBot) },
                isLoggedIn: session.key != nil, end: nil))
    }

    /// 0 until Telegram has told.
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

    /// Work that ends with `run`.
    func later(_ job: @escaping @Sendable () async -> Void) { jobs.add(job) }

    package func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable {
        let events = try hub.listen()
        _ = try await links.main()
        return events
    }

    package func peer(_ id: Int64) async throws -> JSON? { try await peers?.known(botAPI: id) }

    /// Connections to a data centre on which the account is known, for parts of files side by side: raw TL calls.
    ///
    /// A call that is refused with `AUTH_KEY_UNREGISTERED` may be made again after `authorizeAgain`.
    func connections(to dataCenter: Int, count: Int) async throws -> [Connection] {
        try await links.forFiles(dataCenter, count: count)
    }

    func authorizeAgain(_ dataCenter: Int) async throws { try await links.authorizeAgain(dataCenter) }

    /// A connection to a data centre of the content delivery network, for `upload.getCdnFile`.
    func contentNetwork(_ dataCenter: Int) async throws -> Connection { try await links.contentNetwork(dataCenter) }

    /// JSON text of a result or an update.
    func json(_ bytes: [UInt8], as type: TLType) throws -> [UInt8] {
        try decoder.withLock { try $0.json(of: bytes, as: type) }
    }

    /// The account cannot be used any more; the first reason counts.
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

// MARK: What happens

extension DirectAccount {
    private func take(_ event: ConnectionEvent, of link: DataCenterConnection) async {
        let number = link.dataCenter
        switch event {
        case .key(let key) where link.purpose != .cdn: await keep { $0.keys[number] = key }
        // Under temporary keys there are others, which are over when they are.
        case .salt(let salt) where link.purpose != .cdn && !settings.usesTemporaryKeys:
            await keep { $0.salts[number] = salt }
        case .key, .salt: break
        case .update(let bytes) where link.purpose == .main: await takeUpdate(bytes)
        case .update: break
        case .gap: if link.purpose == .main { hub.add(.gap) }
        case .ready: if link.purpose == .main { hub.add(.ready) }
        case .waiting(let pause, let error):
            log.debug("no connection to data centre \(number): \(error.message); again in \(pause.shortText)")
            if link.purpose == .main { hub.add(.waiting(error.message)) }
        }
    }

    private func keep(_ change: @escaping @Sendable (inout AccountSession) -> Void) async {
        do { try await keeper.update(change) } catch { log.error("the session is not kept: \(error)") }
    }

    private func takeUpdate(_ bytes: [UInt8]) async {
        do {
            let text = try json(bytes, as: schema.type("Updates") ?? .object)
            await peers?.note(text)
            hub.add(.updates(text))
        } catch {
            log.warning("an update that cannot be read: \(error)")
            hub.add(.gap)
        }
    }

    /// A connection for which another attempt would be of no use.
    private func ended(_ link: DataCenterConnection, _ error: MTProtoError) async {
        if link.purpose == .main { return await end(error) }
        log.warning("the connection to data centre \(link.dataCenter) has ended: \(error.message)")
        guard error.code == .unknownKey, link.purpose == .files, link.dataCenter != keeper.session.dataCenter else {
            return
        }
        let number = link.dataCenter
        // The next one makes a new key, and brings the authorization again.
        await keep { $0.keys[number] = nil }
    }
}

extension Duration {
    /// For people: seconds, with a tenth where it matters.
    var shortText: String {
        let tenths = (components.seconds * 10) + components.attoseconds / 100_000_000_000_000_000
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10) s" : "\(tenths / 10) s"
    }
}
