import Synchronization
import System

/// Sends commands to the nodes of a Redis cluster that own their keys.
///
/// It asks for the map of slots at the first command, and again before a command for a node that was lost, or that sent an earlier one
/// elsewhere. Commands for other nodes do not wait for that. The commands of a batch go to their nodes at the same time; those for one
/// slot keep their order.
final class Cluster: Sendable {
    typealias Endpoint = RedisAddress.Endpoint

    private let address: RedisAddress
    private let seeds: [Endpoint]
    private let makeLane: @Sendable (Endpoint) -> Lane
    private let state = Mutex(State())

    private struct State {
        /// The node of each slot, as a place in `owners`; empty before the map is known.
        var slots: [UInt16?] = []
        var owners: [Endpoint] = []
        var lanes: [Endpoint: Lane] = [:]
        /// The nodes that gave no answer, or sent a command elsewhere, since the map was read: what it says of them may be wrong.
        var doubted: Set<Endpoint> = []
        /// The outcome of the reading of the map that is under way; nil if nobody reads it.
        var reading: Promise<Reading>?
        var isClosed = false
    }

    /// Says how the reading of the map ended for the commands that waited for it.
    private enum Reading {
        case done
        case failed(RedisError)
        /// The command that read the map had no more time, or was cancelled. That says nothing of the nodes.
        case abandoned
    }

    /// The most times that a command is sent to another node before its error is returned.
    private static let mostRedirections = 8
    /// The time after which the next node is asked for the map, too, when one has not answered.
    private static let patience = Duration.milliseconds(20)
    /// The longest wait for the answer of each.
    private static let mapTimeout = Duration.seconds(2)

    init(_ address: RedisAddress, seeds: [Endpoint], clientName: String, connectTimeout: Duration) {
        self.address = address
        self.seeds = seeds
        makeLane = { endpoint in
            Lane(
                address: address.member(endpoint), clientName: clientName, connectTimeout: connectTimeout, prepare: nil)
        }
    }

    /// Sends commands; returns their replies in order, error replies as `.error`.
    ///
    /// - Parameters:
    ///   - isUnit: the commands belong together (`MULTI` … `EXEC`) and go to one node, that of their first key.
    ///   - place: a key whose node gets the commands without a key; nil for any node.
    func exchange(
        _ batch: CommandBatch, isUnit: Bool, place: String?, until deadline: Deadline
    ) async throws(RedisError) -> [RedisValue] {
        let units = units(of: batch, isUnit: isUnit, place: place)
        var replies = [[RedisValue]?](repeating: nil, count: units.count)
        var open = Array(units.indices)
        var targets: [Int: Target] = [:]
        for attempt in 0...Self.mostRedirections {
            // While a slot changes its owner, two nodes may send a command to each other for a moment.
            if attempt > 1 { try await pause(attempt, until: deadline) }
            // A command that was sent elsewhere goes there without a look at the map.
            try await ensureMap(for: open.filter { targets[$0] == nil }.map { units[$0].slot }, until: deadline)
            let answered = try await send(open.map { (units[$0], targets[$0]) }, of: batch, until: deadline)
            targets = [:]
            var redirected: [Int] = []
            for (index, answer) in zip(open, answered) {
                replies[index] = answer.replies
                guard let target = redirection(answer.replies, from: answer.node), attempt < Self.mostRedirections
                else { continue }
                targets[index] = target
                redirected.append(index)
            }
            open = redirected
            if open.isEmpty { break }
        }
        return replies.flatMap { $0 ?? [] }
    }

    private func pause(_ attempt: Int, until deadline: Deadline) async throws(RedisError) {
        let pause = min(deadline.remaining, .milliseconds(5 << min(attempt, 8)))
        guard (try? await Task.sleep(for: pause)) != nil else { throw Exchange.cancelled }
    }

    /// Sends the same commands to each node that owns slots, and to the other nodes that are known; returns the replies of the owners.
    func exchangeEverywhere(
        _ batch: CommandBatch, until deadline: Deadline
    ) async throws(RedisError) -> [[RedisValue]] {
        try await readMap(until: deadline) { $0.slots.isEmpty || !$0.doubted.isEmpty }
        var replies: [[RedisValue]] = []
        let (owners, others) = state.withLock { state in
            let owners = Set(state.owners)
            let others = Set(state.lanes.keys).subtracting(owners)
            return (
                owners.map { ($0, lane(of: $0, &state).start(batch, until: deadline)) },
                others.map { lane(of: $0, &state).start(batch, until: deadline) }
            )
        }
        for (node, exchange) in owners { replies.append(try await finish(exchange, of: node)) }
        // A slot may be on its way to one of them. What they cannot do is told when they are needed.
        for exchange in others { _ = try? await exchange.replies() }
        return replies
    }

    // MARK: Units

    /// Commands that go to one node together.
    private struct Unit {
        let bytes: Range<Int>
        let count: Int
        let slot: Int?
    }

    private func units(of batch: CommandBatch, isUnit: Bool, place: String?) -> [Unit] {
        let fallback = place.map { KeySlot.of($0.utf8) }
        let commands = EncodedCommand.all(in: batch)
        guard isUnit else { return commands.map { Unit(bytes: $0.bytes, count: 1, slot: $0.slot ?? fallback) } }
        let slot = commands.lazy.compactMap(\.slot).first ?? fallback
        return [Unit(bytes: 0..<batch.bytes.count, count: batch.count, slot: slot)]
    }

    private func send(
        _ units: [(Unit, Target?)], of batch: CommandBatch, until deadline: Deadline
    ) async throws(RedisError) -> [(node: Endpoint, replies: [RedisValue])] {
        var batches: [Endpoint: CommandBatch] = [:]
        // For each unit: its node, the place of its first reply there, and how many replies it has.
        let places = state.withLock { state in
            units.map { unit, target in
                let endpoint = target?.endpoint ?? owner(of: unit.slot, state)
                var own = batches[endpoint] ?? CommandBatch()
                if target?.isOnce == true { own.append(["ASKING"]) }
                let first = own.count
                own.append(encoded: batch.bytes[unit.bytes], count: unit.count)
                batches[endpoint] = own
                return (endpoint, first, unit.count)
            }
        }
        let sent = state.withLock { state in
            batches.map { ($0.key, lane(of: $0.key, &state).start($0.value, until: deadline)) }
        }
        var replies: [Endpoint: [RedisValue]] = [:]
        var failure: RedisError?
        for (endpoint, exchange) in sent {
            do throws(RedisError) { replies[endpoint] = try await finish(exchange, of: endpoint) } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return places.map { endpoint, first, count in
            (endpoint, Array((replies[endpoint] ?? []).dropFirst(first).prefix(count)))
        }
    }

    private func finish(_ exchange: Lane.Sent, of node: Endpoint) async throws(RedisError) -> [RedisValue] {
        do throws(RedisError) { return try await exchange.replies() } catch {
            // The node may be lost; another one owns its slots then.
            if error.code != .cancelled { doubt(node) }
            throw retired(error)
        }
    }

    /// Returns the error of a connection that was closed because its node left the cluster as one that a retry can mend.
    private func retired(_ error: RedisError) -> RedisError {
        guard error.code == .closed, !state.withLock({ $0.isClosed }) else { return error }
        return RedisError(.unreachable, "a node has left the Redis cluster at \(address)")
    }

    // MARK: Redirections

    private struct Target {
        let endpoint: Endpoint
        /// Is true while the slot is on its way: only this command goes there.
        let isOnce: Bool
    }

    /// Returns where the node sent a unit; nil if it has carried it out, or refused it for another reason.
    private func redirection(_ replies: [RedisValue], from node: Endpoint) -> Target? {
        for case .error(let text) in replies {
            let words = text.split(separator: " ")
            if text.hasPrefix("CLUSTERDOWN") { doubt(node) }
            guard words.count >= 3, words[0] == "MOVED" || words[0] == "ASK" else { continue }
            if words[0] == "MOVED" { doubt(node) }
            guard let endpoint = Self.endpoint(words[2], asked: node.host) else { continue }
            return Target(endpoint: endpoint, isOnce: words[0] == "ASK")
        }
        return nil
    }

    private static func endpoint(_ text: Substring, asked: String) -> Endpoint? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let host = RedisValue.status(String(text[..<colon]))
        return Endpoint([host, .integer(Int64(text[text.index(after: colon)...]) ?? 0)], asked: asked)
    }

    // MARK: The map of slots

    private func doubt(_ node: Endpoint) { state.withLock { _ = $0.doubted.insert(node) } }

    private func knownOwner(of slot: Int, _ state: State) -> Endpoint? {
        let place = slot < state.slots.count ? state.slots[slot] : nil
        return place.map { state.owners[Int($0)] }
    }

    private func owner(of slot: Int?, _ state: State) -> Endpoint {
        // A slot without a node gets CLUSTERDOWN from any of them, which the caller repeats.
        if let known = slot.flatMap({ knownOwner(of: $0, state) }) { return known }
        let trusted = state.owners.filter { !state.doubted.contains($0) }
        return trusted.randomElement() ?? state.owners.randomElement() ?? seeds[0]
    }

    private func lane(of endpoint: Endpoint, _ state: inout State) -> Lane {
        if let lane = state.lanes[endpoint] { return lane }
        let lane = makeLane(endpoint)
        if state.isClosed { lane.close() } else { state.lanes[endpoint] = lane }
        return lane
    }

    /// Asks for the map if it is unknown, or may be wrong about one of these slots; nil stands for a command that any node can carry out.
    private func ensureMap(for slots: [Int?], until deadline: Deadline) async throws(RedisError) {
        try await readMap(until: deadline) { state in
            if state.isClosed || slots.isEmpty { return false }
            if state.slots.isEmpty { return true }
            return slots.contains { slot in
                guard let slot else { return false }
                return self.knownOwner(of: slot, state).map(state.doubted.contains) ?? true
            }
        }
    }

    /// Reads the map while it is needed. Many commands need it at the same moment, after a fail-over for instance: one of them reads it,
    /// and the others wait for that.
    private func readMap(
        until deadline: Deadline, while isNeeded: (State) -> Bool
    ) async throws(RedisError) {
        // A map that has just been read can be out of date again; what it says then is found out by the commands themselves.
        var hasBeenRead = false
        while !hasBeenRead {
            let promise = Promise<Reading>()
            let current = state.withLock { state -> Promise<Reading>? in
                guard isNeeded(state) else { return nil }
                if let reading = state.reading { return reading }
                state.reading = promise
                return promise
            }
            guard let current else { return }
            if current === promise {
                try await readMap(for: promise, until: deadline)
                return
            }
            switch try await outcome(of: current, until: deadline) {
            case .done: hasBeenRead = true
            case .failed(let error): throw error
            case .abandoned: continue
            }
        }
    }

    /// Reads the map, also for the commands that wait for `promise`.
    private func readMap(for promise: Promise<Reading>, until deadline: Deadline) async throws(RedisError) {
        let result: Result<Void, RedisError>
        do throws(RedisError) {
            try await readMap(until: deadline)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        state.withLock { $0.reading = nil }
        switch result {
        case .success: promise.fulfil(.success(.done))
        case .failure(let error) where error.code == .cancelled || deadline.hasPassed:
            promise.fulfil(.success(.abandoned))
        case .failure(let error): promise.fulfil(.success(.failed(error)))
        }
        try result.get()
    }

    /// Waits for the command that reads the map.
    private func outcome(of reading: Promise<Reading>, until deadline: Deadline) async throws(RedisError) -> Reading {
        let limit = min(deadline.remaining, .seconds(3600))
        let result = await withTaskGroup(of: Result<Reading, RedisError>.self) { group in
            group.addTask {
                (try? await reading.value()).map { .success($0) } ?? .failure(Exchange.cancelled)
            }
            group.addTask {
                guard (try? await Task.sleep(for: limit)) != nil else { return .failure(Exchange.cancelled) }
                return .failure(
                    RedisError(.unreachable, "no node of the Redis cluster at \(self.address) has answered in time"))
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(Exchange.cancelled)
        }
        return try result.get()
    }

    /// Takes over the map of the node that answers first. The nodes are asked one shortly after the other, so that a lost one, which
    /// may not even refuse a connection, keeps nobody waiting.
    private func readMap(until deadline: Deadline) async throws(RedisError) {
        let outcome: Result<Void, RedisError> = await withTaskGroup(of: (Endpoint, Exchange.Outcome).self) { group in
            defer { group.cancelAll() }
            for (place, endpoint) in state.withLock({ candidates($0) }).enumerated() {
                group.addTask {
                    (endpoint, await self.askForMap(endpoint, after: Self.patience * place, until: deadline))
                }
            }
            var (failure, mayHeal): (RedisError?, Bool) = (nil, false)
            for await (endpoint, answer) in group {
                do throws(RedisError) {
                    return .success(try adopt(try answer.get().first ?? .null, from: endpoint))
                } catch {
                    let error = retired(error)
                    if error.code == .cancelled || error.code == .closed { return .failure(error) }
                    mayHeal = mayHeal || error.isTransient
                    if failure == nil || !error.isTransient { failure = error }
                }
            }
            // One node that is set up wrongly must not end the tools while the others are away.
            let error = failure ?? RedisError(.unreachable, "no node of the Redis cluster at \(address) answers")
            return .failure(RedisError(error.code, error.message, isTransient: mayHeal || failure == nil))
        }
        try outcome.get()
    }

    /// The nodes to ask for the map, those first that are likely to know it.
    private func candidates(_ state: State) -> [Endpoint] {
        var seen: Set<Endpoint> = []
        let all = (state.owners.shuffled() + seeds).filter { seen.insert($0).inserted }
        return all.filter { !state.doubted.contains($0) } + all.filter(state.doubted.contains)
    }

    private func askForMap(
        _ node: Endpoint, after pause: Duration, until deadline: Deadline
    ) async -> Exchange.Outcome {
        guard (try? await Task.sleep(for: pause)) != nil else { return .failure(Exchange.cancelled) }
        let sent = state.withLock { state in
            lane(of: node, &state).start(
                CommandBatch([["CLUSTER", "SLOTS"]]), until: min(deadline, .after(Self.mapTimeout)))
        }
        do throws(RedisError) {
            let replies = try await sent.replies()
            if case .error(let text)? = replies.first { throw refused(text, address.member(node)) }
            return .success(replies)
        } catch {
            return .failure(error)
        }
    }

    private func refused(_ text: String, _ server: RedisAddress) -> RedisError {
        guard text.contains("cluster support disabled") else { return RedisError(reply: text, from: server) }
        return RedisError(
            .configuration, "Redis at \(server) belongs to no cluster: write its address as redis://HOST:PORT")
    }

    /// Takes over the answer to `CLUSTER SLOTS`: a list of the first slot, the last slot, and the nodes with their hosts and ports, the
    /// owner first.
    private func adopt(_ reply: RedisValue, from asked: Endpoint) throws(RedisError) {
        var slots = [UInt16?](repeating: nil, count: KeySlot.count)
        var owners: [Endpoint] = []
        for range in (reply.array ?? []).prefix(KeySlot.count) {
            guard let parts = range.array, parts.count >= 3, let first = parts[0].int, let last = parts[1].int,
                0 <= first, first <= last, last < Int64(KeySlot.count), owners.count < 4096,
                let owner = Endpoint(parts[2].array, asked: asked.host)
            else {
                throw RedisError(
                    .protocolError, "Redis at \(asked) answered CLUSTER SLOTS with something else than slots")
            }
            let place = owners.firstIndex(of: owner) ?? owners.count
            if place == owners.count { owners.append(owner) }
            for slot in Int(first)...Int(last) { slots[slot] = UInt16(place) }
        }
        guard !owners.isEmpty else {
            throw RedisError(
                .unreachable, "the cluster at \(asked) has no slots yet: create it with redis-cli --cluster create")
        }
        let unused = state.withLock { state in
            state.slots = slots
            state.owners = owners
            state.doubted = []
            let unused = state.lanes.filter { !owners.contains($0.key) }
            for endpoint in unused.keys { state.lanes[endpoint] = nil }
            return Array(unused.values)
        }
        for lane in unused { lane.close() }
    }

    /// Refuses further commands; `continuation` resumes once all connections are closed.
    func close(_ continuation: CheckedContinuation<Void, Never>?) {
        let lanes = state.withLock { state in
            state.isClosed = true
            return Array(state.lanes.values)
        }
        guard let continuation else {
            for lane in lanes { lane.close() }
            return
        }
        Task {
            for lane in lanes { await withCheckedContinuation { lane.close($0) } }
            continuation.resume()
        }
    }
}
