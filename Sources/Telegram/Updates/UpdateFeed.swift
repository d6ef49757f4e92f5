package import Accounts
import JSON
import Logging
import MTProto
package import Stage
import System

/// Takes what is emitted.
package protocol UpdateSink: Sendable {
    /// Keeps it together with the state behind it.
    ///
    /// - Returns: false when it is not wanted, and nothing was kept.
    func emit(_ emission: Emission) async throws -> Bool
    /// There is nothing to emit for now; the state has moved on nevertheless.
    func settle(_ state: UpdateState) async throws
    /// For the first time nothing is missing: from here on updates come by themselves.
    func begin() async
    /// Telegram wants a wait, and meanwhile nothing is emitted.
    func wait(_ wait: FloodWait) async
}

/// Everything that happens at an account, in order: the machine, with Telegram at one end.
package struct UpdateFeed: Sendable {
    private let account: any Account
    private let runtime: Runtime

    /// Longer queues stay with the connection, which tells of a gap when they become too long.
    private static let room = 256
    /// What Telegram wants is kept to: no update is lost by waiting.
    private static let longestWait = Duration.seconds(86_400)

    package init(account: any Account, runtime: Runtime) {
        self.account = account
        self.runtime = runtime
    }

    /// Runs until the shutdown is requested.
    ///
    /// - Parameters:
    ///   - state: as it was kept last; nil: from now on.
    ///   - once: ends when nothing is missing.
    /// - Throws: what does not pass by itself: a revoked session, a broken output.
    package func run(from state: UpdateState?, once: Bool, into sink: some UpdateSink) async throws {
        guard let events = try await persistently({ try await account.events() }) else { return }
        let mailbox = Mailbox<AccountEvent>(room: UpdateFeed.room)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { mailbox.close() }
                try await bring(events, into: mailbox)
            }
            group.addTask {
                await runtime.shutdown.wait()
                mailbox.close()
            }
            group.addTask {
                defer { mailbox.close() }
                try await follow(mailbox, from: state, once: once, into: sink)
                throw Ended()
            }
            defer { group.cancelAll() }
            do {
                while try await group.next() != nil {}
            } catch is Ended {}
        }
    }

    private struct Ended: Error {}

    private func bring(
        _ first: any AsyncSequence<AccountEvent, any Error> & Sendable, into mailbox: Mailbox<AccountEvent>
    ) async throws {
        var next: (any AsyncSequence<AccountEvent, any Error> & Sendable)? = first
        while let events = next {
            do {
                for try await event in events { await mailbox.put(event) }
            } catch let error as any ReportableError where UpdateFeed.mayPass(error) {
                runtime.log.notice("\(error.message)")
            }
            guard !Task.isCancelled, !runtime.shutdown.isRequested else { return }
            try await Task.sleep(for: .milliseconds(200))
            next = try await persistently { try await account.events() }
            await mailbox.put(.gap)
        }
    }

    private func follow(
        _ mailbox: Mailbox<AccountEvent>, from state: UpdateState?, once: Bool, into sink: some UpdateSink
    ) async throws {
        let begun = ContinuousClock.now
        var sequencer = UpdateSequencer(state: state, own: account.userID, isBot: account.isBot)
        var kept = state
        var hasBegun = false
        while !runtime.shutdown.isRequested {
            // The mailbox may be closed because something failed.
            try Task.checkCancellation()
            if let request = sequencer.nextRequest(at: .now - begun) {
                let emissions = try await ask(request, of: &sequencer, begun, sink)
                try await emit(emissions, into: sink, kept: &kept)
                continue
            }
            if let state = sequencer.state, kept.map({ state.isFurther(than: $0) }) ?? true {
                try await sink.settle(state)
                kept = state
            }
            if !hasBegun { await sink.begin() }
            hasBegun = true
            if once { return }
            for event in await mailbox.take(until: sequencer.deadline.map { begun + $0 }) {
                let emissions = try await take(event, with: &sequencer, at: .now - begun)
                try await emit(emissions, into: sink, kept: &kept)
            }
        }
    }

    private func emit(_ emissions: [Emission], into sink: some UpdateSink, kept: inout UpdateState?) async throws {
        for emission in emissions {
            if try await sink.emit(emission) { kept = emission.state }
        }
    }

    private func take(
        _ event: AccountEvent, with sequencer: inout UpdateSequencer, at now: Duration
    ) async throws -> [Emission] {
        switch event {
        case .updates(let text):
            guard let updates = try? JSON(parsing: text) else { return [] }
            var peers = Peers()
            for id in sequencer.mentioned(in: updates) {
                if let peer = try await account.peer(id) { peers.insert(peer) }
            }
            return sequencer.receive(updates, peers: peers, at: now)
        case .gap: sequencer.noteGap(at: now)
        case .waiting(let reason): runtime.log.notice("no connection to Telegram: \(reason)")
        case .ready: runtime.log.debug("connected to Telegram")
        }
        return []
    }

    private func ask(
        _ request: UpdateRequest, of sequencer: inout UpdateSequencer, _ begun: ContinuousClock.Instant,
        _ sink: some UpdateSink
    ) async throws -> [Emission] {
        let call = sequencer.state.map { request.call($0) } ?? ("updates.getState", [:])
        do {
            guard let result = try await answer(call.0, call.1, sink) else { return [] }
            if result["_"] == "updates.differenceTooLong" || result["_"] == "updates.channelDifferenceTooLong" {
                runtime.log.warning(
                    "Telegram does not keep all that was missed: the messages come from the history, deletions and edits may be missing"
                )
            }
            return sequencer.answer(request, result, at: .now - begun)
        } catch let error as any ReportableError where UpdateFeed.isRefusal(error) && request != .state {
            runtime.log.warning("\(call.0): \(error.message)")
            let name = (error as? TelegramRPCError)?.name ?? ""
            return sequencer.refuse(
                request, areNumbersUnknown: name.hasPrefix("PERSISTENT_TIMESTAMP"), at: .now - begun)
        }
    }

    private func answer(_ method: String, _ parameters: JSONObject, _ sink: some UpdateSink) async throws -> JSON? {
        var options = CallOptions()
        options.longestWait = UpdateFeed.longestWait
        let (waits, reports) = AsyncStream.makeStream(of: FloodWait.self, bufferingPolicy: .bufferingNewest(1))
        options.onWait = { reports.yield($0) }
        async let told: Void = { for await wait in waits { await sink.wait(wait) } }()
        defer { reports.finish() }
        let result = try await persistently { [options] in
            try JSON(parsing: try await account.call(method, parameters, options))
        }
        reports.finish()
        await told
        return result
    }

    /// nil when the shutdown is requested meanwhile.
    private func persistently<Value: Sendable>(
        _ call: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        try await runtime.retrying(
            Backoff(first: .milliseconds(250), longest: .seconds(30)), while: UpdateFeed.mayPass, call)
    }

    private static func mayPass(_ error: any ReportableError) -> Bool {
        [.unavailable, .tryAgain].contains(error.exitStatus) || (error as? TelegramRPCError)?.isTemporary == true
    }

    private static func isRefusal(_ error: any ReportableError) -> Bool {
        [.no, .malformedInput].contains(error.exitStatus)
    }
}
