package import Accounts
import JSON
import Logging
import MTProto
package import Stage
import System
import TL

/// Receives the updates of an `UpdateFeed`.
package protocol UpdateSink: Sendable {
    /// Takes updates in their order. They may wait for `flush`, so that many are written together.
    func take(_ emissions: [Emission]) async throws
    /// Writes the updates that wait, and stores the state after them together with them.
    ///
    /// - Returns: the last state that was stored since the flush before; nil when none was, because no update was wanted.
    func flush() async throws -> UpdateState?
    /// Stores a state that has advanced without an emitted update.
    func settle(_ state: UpdateState) async throws
    /// Notes that, for the first time, no update is missing: from now on, updates arrive as they happen.
    func begin() async
    /// Notes messages of which updates were lost, before the state after the loss is stored.
    func note(_ hole: UpdateHole) async throws
    /// Notes a wait that Telegram demands. Nothing is emitted until its end.
    func wait(_ wait: FloodWait) async
}

/// Emits everything that happens to an account, in order: connects the sequencer with Telegram.
package struct UpdateFeed: Sendable {
    private let account: any Account
    private let runtime: Runtime

    /// The most events that wait for the sequencer. Further ones wait in the account's buffer, which reports a gap when it overflows.
    private static let queueCapacity = 256
    /// The longest wait that the feed accepts when Telegram demands one. Waiting loses no update.
    private static let longestWait = Duration.seconds(86_400)

    package init(account: any Account, runtime: Runtime) {
        self.account = account
        self.runtime = runtime
    }

    /// Runs until the shutdown is requested.
    ///
    /// - Parameters:
    ///   - state: the state that was stored last; nil begins with what happens from now on.
    ///   - once: ends as soon as no update is missing.
    /// - Throws: a permanent failure, such as a revoked session or a broken output.
    package func run(from state: UpdateState?, once: Bool, into sink: some UpdateSink) async throws {
        guard let events = try await persistently({ try await account.events() }) else { return }
        let queue = BoundedQueue<AccountEvent>(capacity: UpdateFeed.queueCapacity)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { queue.close() }
                try await forward(events, into: queue)
            }
            group.addTask {
                await runtime.shutdown.wait()
                queue.close()
            }
            group.addTask {
                defer { queue.close() }
                try await process(queue, from: state, once: once, into: sink)
                throw Ended()
            }
            defer { group.cancelAll() }
            do {
                while try await group.next() != nil {}
            } catch is Ended {}
        }
    }

    private struct Ended: Error {}

    /// Puts the account's events into the queue, and listens again when they end.
    private func forward(
        _ first: any AsyncSequence<AccountEvent, any Error> & Sendable, into queue: BoundedQueue<AccountEvent>
    ) async throws {
        var next: (any AsyncSequence<AccountEvent, any Error> & Sendable)? = first
        while let events = next {
            do {
                for try await event in events { await queue.put(event) }
            } catch let error as any ReportableError where UpdateFeed.isTransient(error) {
                runtime.log.notice("\(error.message); subscribing to its events again")
            }
            guard !Task.isCancelled, !runtime.shutdown.isRequested else { return }
            try await Task.sleep(for: .milliseconds(200))
            next = try await persistently { try await account.events() }
            await queue.put(.gap)
        }
    }

    private func process(
        _ queue: BoundedQueue<AccountEvent>, from state: UpdateState?, once: Bool, into sink: some UpdateSink
    ) async throws {
        let start = ContinuousClock.now
        let intake = EventIntake(account: account, log: runtime.log)
        var sequencer = UpdateSequencer(state: state, own: account.userID, isBot: account.isBot)
        var stored = state
        var isLive = false
        while !runtime.shutdown.isRequested {
            // The queue may be closed because another task failed.
            try Task.checkCancellation()
            if let request = sequencer.nextRequest(at: .now - start) {
                let emissions = try await ask(request, of: &sequencer, start, sink)
                for hole in sequencer.holes.take() { try await sink.note(hole) }
                try await sink.take(emissions)
                stored = try await sink.flush() ?? stored
                continue
            }
            // Without a state, the request for it is postponed.
            if let state = sequencer.state {
                if stored.map({ state.isFurther(than: $0) }) ?? true {
                    try await sink.settle(state)
                    stored = state
                }
                if !isLive { await sink.begin() }
                isLive = true
                if once {
                    guard !sequencer.hasUnreadableAnswers else {
                        throw ToolError(
                            .tryAgain, "Telegram's answer could not be read, so updates may be missing: try again")
                    }
                    return
                }
            }
            for event in await queue.take(until: sequencer.deadline.map { start + $0 }) {
                try await sink.take(try await intake.take(event, into: &sequencer, at: .now - start))
            }
            // What has arrived meanwhile follows in the next round, so that no update waits for another one.
            stored = try await sink.flush() ?? stored
        }
    }

    private func ask(
        _ request: UpdateRequest, of sequencer: inout UpdateSequencer, _ start: ContinuousClock.Instant,
        _ sink: some UpdateSink
    ) async throws -> [Emission] {
        let (method, parameters) = sequencer.state.map { request.call($0) } ?? ("updates.getState", [:])
        do {
            guard let result = try await answer(method, parameters, sink) else { return [] }
            warn(about: result, to: request, method)
            return sequencer.answer(request, result, at: .now - start)
        } catch let error as any ReportableError where UpdateFeed.isRefusal(error) && request != .state {
            runtime.log.warning("\(method) was refused: \(error.message)")
            let name = (error as? TelegramRPCError)?.name ?? ""
            return sequencer.refuse(
                request, areNumbersUnknown: name.hasPrefix("PERSISTENT_TIMESTAMP"), at: .now - start)
        }
    }

    private func warn(about result: JSON, to request: UpdateRequest, _ method: String) {
        let constructor = result["_"]?.string ?? "an object without a name"
        if !request.accepts(result) {
            runtime.log.warning(
                "\(method): unable to use the answer (\(constructor)): members are missing or out of range; requesting it again later"
            )
        } else if ["updates.differenceTooLong", "updates.channelDifferenceTooLong"].contains(constructor) {
            runtime.log.warning(
                "Telegram no longer has all missed updates: messages are read from the history, deletions and edits may be missing"
            )
        }
    }

    private func answer(_ method: String, _ parameters: JSONObject, _ sink: some UpdateSink) async throws -> JSON? {
        var options = CallOptions()
        options.longestWait = UpdateFeed.longestWait
        let (waits, reports) = AsyncStream.makeStream(of: FloodWait.self, bufferingPolicy: .bufferingNewest(1))
        options.onWait = { reports.yield($0) }
        async let reported: Void = { for await wait in waits { await sink.wait(wait) } }()
        defer { reports.finish() }
        let result = try await persistently { [options] in
            try await account.call(method, parameters, options).json()
        }
        reports.finish()
        await reported
        return result
    }

    /// Repeats a call after transient failures.
    ///
    /// - Returns: nil if the shutdown is requested meanwhile.
    private func persistently<Value: Sendable>(
        _ call: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        try await runtime.retrying(
            Backoff(first: .milliseconds(250), longest: .seconds(30)), while: UpdateFeed.isTransient, call)
    }

    private static func isTransient(_ error: any ReportableError) -> Bool {
        [.unavailable, .tryAgain].contains(error.exitStatus) || (error as? TelegramRPCError)?.isTransient == true
    }

    private static func isRefusal(_ error: any ReportableError) -> Bool {
        [.no, .malformedInput].contains(error.exitStatus)
    }
}
