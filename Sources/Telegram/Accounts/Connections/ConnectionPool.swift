import JSON
import MTProto
import System

/// Holds the connections of one account: one to its home data centre, others on demand.
actor ConnectionPool {
    /// Receives the events of a connection.
    typealias Report = @Sendable (ConnectionEvent, DataCenterConnection) async -> Void
    /// Receives the permanent failure of a connection.
    typealias Ending = @Sendable (MTProtoError, DataCenterConnection) async -> Void

    /// The most parallel connections for files to one data centre.
    static let maxParallel = 8

    let settings: AccountSettings
    let keeper: SessionKeeper
    private let jobs: BackgroundTasks
    private let report: Report
    private let ending: Ending
    private var home: Promise<DataCenterConnection>?
    private var others: [Int: Promise<DataCenterConnection>] = [:]
    private var parallel: [Int: [DataCenterConnection]] = [:]
    private var contentNetworks: [Int: Promise<DataCenterConnection>] = [:]
    private var options = DataCenterOptions(.null)

    init(
        _ settings: AccountSettings, _ keeper: SessionKeeper, _ jobs: BackgroundTasks, report: @escaping Report,
        ending: @escaping Ending
    ) {
        (self.settings, self.keeper, self.jobs) = (settings, keeper, jobs)
        (self.report, self.ending) = (report, ending)
    }

    func main() async throws -> Connection {
        if let home { return try await home.value().connection }
        let (promise, dataCenter) = (Promise<DataCenterConnection>(), keeper.session.dataCenter)
        home = promise
        await fulfil(promise) { try await self.open(dataCenter, .main) }
        if case .failure = promise.result, home === promise { home = nil }
        return try await promise.value().connection
    }

    /// Returns an authorised connection to a data centre.
    func connection(to dataCenter: Int) async throws -> Connection {
        if dataCenter == keeper.session.dataCenter { return try await main() }
        return try await other(dataCenter).connection
    }

    private func other(_ dataCenter: Int) async throws -> DataCenterConnection {
        if let promise = others[dataCenter] { return try await promise.value() }
        let promise = Promise<DataCenterConnection>()
        others[dataCenter] = promise
        jobs.add { [self] in
            await fulfil(promise) { try await self.authorized(dataCenter) }
            if case .failure = promise.result { await forget(promise, dataCenter) }
        }
        return try await promise.value()
    }

    private func forget(_ promise: Promise<DataCenterConnection>, _ dataCenter: Int) {
        if others[dataCenter] === promise { others[dataCenter] = nil }
    }

    private func fulfil(_ promise: Promise<DataCenterConnection>, _ body: () async throws -> DataCenterConnection) async
    {
        do { promise.fulfil(.success(try await body())) } catch { promise.fulfil(.failure(error)) }
    }

    private func authorized(_ dataCenter: Int) async throws -> DataCenterConnection {
        let link = try await open(dataCenter, .files)
        guard keeper.session.keys[dataCenter] == nil else { return link }
        do {
            try await authorize(link)
            return link
        } catch {
            link.stop()
            throw error
        }
    }

    /// Copies the account's authorisation from its home data centre. Source: https://core.telegram.org/api/datacenter
    private func authorize(_ link: DataCenterConnection) async throws {
        let number: JSON = .integer(Int64(link.dataCenter))
        let exported = try await main().ask(settings.schema, "auth.exportAuthorization", ["dc_id": number])
        guard let id = exported["id"], let bytes = exported["bytes"] else {
            throw AccountError(
                .unexpectedAnswer, "Telegram's answer to auth.exportAuthorization lacks the authorisation")
        }
        _ = try await link.connection.ask(settings.schema, "auth.importAuthorization", ["id": id, "bytes": bytes])
        try await keeper.waitForKey(of: link.dataCenter)
    }

    /// Restores the authorisation in a data centre that knows the key, but no longer the account.
    func authorizeAgain(_ dataCenter: Int) async throws {
        guard dataCenter != keeper.session.dataCenter else { return }
        try await authorize(try await other(dataCenter))
    }

    /// Returns connections to one data centre for parallel transfers of files. They are made at the first call, and kept.
    func forFiles(_ dataCenter: Int, count: Int) async throws -> [Connection] {
        // The first connection makes the key, and imports the authorisation.
        _ = try await connection(to: dataCenter)
        try await keeper.waitForKey(of: dataCenter)
        let wanted = min(max(count, 1), ConnectionPool.maxParallel)
        while parallel[dataCenter, default: []].count < wanted {
            let link = try await open(dataCenter, .files)
            parallel[dataCenter, default: []].append(link)
        }
        return parallel[dataCenter, default: []].prefix(wanted).map(\.connection)
    }

    /// Returns a connection to a data centre of the content delivery network.
    func contentNetwork(_ dataCenter: Int) async throws -> Connection {
        if let promise = contentNetworks[dataCenter] { return try await promise.value().connection }
        let promise = Promise<DataCenterConnection>()
        contentNetworks[dataCenter] = promise
        jobs.add { [self] in
            await fulfil(promise) { try await self.openContentNetwork(dataCenter) }
            if case .failure = promise.result { await forgetContentNetwork(dataCenter) }
        }
        return try await promise.value().connection
    }

    private func forgetContentNetwork(_ dataCenter: Int) { contentNetworks[dataCenter] = nil }

    /// Opens a connection with the keys of the content delivery network. Source: https://core.telegram.org/cdn
    private func openContentNetwork(_ dataCenter: Int) async throws -> DataCenterConnection {
        let config = try await main().ask(settings.schema, "help.getCdnConfig")
        let keys = try (config["public_keys"]?.array ?? []).filter { $0["dc_id"]?.int == Int64(dataCenter) }
            .compactMap { $0["public_key"]?.string }.map { text throws(MTProtoError) in try ServerKey(pem: text) }
        if options.addresses(of: dataCenter, isIPv6: settings.prefersIPv6, isCDN: true).isEmpty {
            try await learnAddresses()
        }
        let known = options.addresses(of: dataCenter, isIPv6: settings.prefersIPv6, isCDN: true)
        var own = try settings.connection(to: dataCenter, of: keeper.session, known: known)
        guard !keys.isEmpty, !own.addresses.isEmpty else {
            throw AccountError(
                .unexpectedAnswer, "Telegram announces no key or address of its content delivery network \(dataCenter)")
        }
        // It knows neither the account nor permanent keys.
        (own.serverKeys, own.key, own.salt) = (keys, nil, 0)
        (own.usesTemporaryKeys, own.dataCenter) = (false, dataCenter)
        return begin(DataCenterConnection(try await Connection(own), to: dataCenter, .cdn))
    }

    private func open(_ dataCenter: Int, _ purpose: DataCenterConnection.Purpose) async throws -> DataCenterConnection {
        let known = options.addresses(of: dataCenter, isIPv6: settings.prefersIPv6)
        let own = try settings.connection(to: dataCenter, of: keeper.session, known: known)
        return begin(DataCenterConnection(try await Connection(own), to: dataCenter, purpose))
    }

    private func begin(_ link: DataCenterConnection) -> DataCenterConnection {
        jobs.add { [self] in
            async let reporting: Void = reportEvents(of: link)
            do {
                try await link.run()
            } catch let error as MTProtoError {
                await ended(link)
                await ending(error, link)
            } catch {}
            await reporting
        }
        return link
    }

    private func reportEvents(of link: DataCenterConnection) async {
        for await event in link.connection.events { await report(event, link) }
    }

    /// Forgets a connection that has ended; the next call makes another one.
    private func ended(_ link: DataCenterConnection) {
        let number = link.dataCenter
        switch link.purpose {
        case .main: break
        case .cdn: contentNetworks[number] = nil
        case .files:
            others[number] = nil
            for other in parallel.removeValue(forKey: number) ?? [] { other.stop() }
        }
    }

    /// Requests the current addresses of the data centres, and saves them in the session.
    func learnAddresses() async throws {
        options = DataCenterOptions(try await main().ask(settings.schema, "help.getConfig"))
        // Addresses that the user gives are not the session's.
        guard settings.servers.isEmpty else { return }
        let best = options.best(isIPv6: settings.prefersIPv6)
        try await keeper.update { $0.addresses.merge(best) { $1 } }
    }

    /// Makes another data centre the account's home.
    ///
    /// - Parameter isLoggedIn: whether there is an authorisation, which then moves too.
    func moveHome(to dataCenter: Int, isLoggedIn: Bool) async throws {
        let before = keeper.session.dataCenter
        guard before != dataCenter else { return }
        if isLoggedIn { _ = try await other(dataCenter) }
        // Several calls may learn of the move; the first one moves. No suspension point follows before the change.
        guard keeper.session.dataCenter == before else { return }
        let isChanged = keeper.change { session in
            session.dataCenter = dataCenter
            if !isLoggedIn { (session.keys, session.salts) = ([:], [:]) }
        }
        let old = [home, others.removeValue(forKey: dataCenter)]
        home = nil
        if isChanged { try await keeper.save() }
        await stopAll(old)
    }

    private func stopAll(_ promises: [Promise<DataCenterConnection>?]) async {
        for case let promise? in promises { try? await promise.value().stop() }
    }

    /// Ends all connections.
    func stop() async {
        await stopAll([home] + others.values.map { $0 } + contentNetworks.values.map { $0 })
        for link in parallel.values.joined() { link.stop() }
    }
}
