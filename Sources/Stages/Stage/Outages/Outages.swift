import Envelope
import JSON
package import Logging
import Synchronization
package import System

/// Knows which services are away for all events of a stage.
///
/// While a service is away, the stage takes no new events and keeps those that it has. A probe, which is independent of
/// all events, decides whether a failure is an outage or the fault of one event, and when the outage is over. The log
/// gets one line at the beginning of an outage and one at its end.
package final class Outages: Sendable {
    private struct Watched {
        var probe: @Sendable () async throws -> Void
        var breaker = Breaker()
        /// For each operation that has failed although the service answers: the events for which it failed since its last success.
        var struggles: [String: Set<EventID>] = [:]
    }

    /// The number of events for which an operation has to fail, one after the other, until it is taken to fail for all.
    private static let enoughEvents = 3

    private let watched = Mutex<[SharedService: Watched]>([:])
    /// Since when Redis has not answered. Calls to it are their own probes.
    private let redisAwaySince = Mutex<ContinuousClock.Instant?>(nil)
    private let changed = Signal()
    private let log: Logger
    private let shutdown: Shutdown

    package init(log: Logger, shutdown: Shutdown) { (self.log, self.shutdown) = (log, shutdown) }

    /// Begins to watch a service, or replaces the probe of one that is watched already.
    ///
    /// - Parameter probe: makes a cheap call that concerns no event. Any answer means that the service is there, also a
    ///   refusal; only an error that is itself the sign of an outage means that it is away.
    package func watch(_ service: SharedService, probe: @escaping @Sendable () async throws -> Void) {
        // An outage that is known does not end by that.
        watched.withLock { $0[service, default: Watched(probe: probe)].probe = probe }
    }

    /// The service that is away; nil if all answer, as far as is known.
    package var away: SharedService? { watched.withLock { $0.first { $0.value.breaker.isOpen }?.key } }

    /// The number of changes so far; see `waitForChange`.
    var generation: Int { changed.generation }

    /// Returns at the first change after `generation` was read, or after the time given.
    func waitForChange(since generation: Int, atMost limit: Duration) async {
        await changed.wait(since: generation, atMost: limit)
    }

    /// Returns the service that is away for all events, if that is the reason for a failure; nil if the failure is
    /// the event's own.
    ///
    /// - Parameter operation: what failed. One that fails for several events is not their own fault, although the service answers.
    package func outage(behind error: any Error, in operation: String = "") async throws -> SharedService? {
        guard let sign = error as? any OutageSign, let suspected = sign.suspectedOutage else { return nil }
        let service = suspected.service
        let change = change(service) { $0.fail(isCertain: suspected.isCertain, now: .now) }
        note(change, service, sign.outageReason)
        while isWatched(service) {
            if isOpen(service) { return service }
            guard try await advance(service, endsAtShutdown: false) else {
                noteStruggle(service, operation, sign.outageReason)
                return isOpen(service) ? service : nil
            }
        }
        return nil
    }

    private func noteStruggle(_ service: SharedService, _ operation: String, _ reason: String) {
        guard let event = Correlation.current.map({ $0.causationID ?? $0.correlationID }) else { return }
        let isForAll = watched.withLock { watched in
            watched[service]?.struggles[operation, default: []].insert(event)
            return watched[service]?.struggles[operation]?.count ?? 0 >= Outages.enoughEvents
        }
        if isForAll { note(change(service) { $0.failDespiteAnswers(now: .now) }, service, reason) }
    }

    /// Notes that an operation has succeeded.
    package func succeeded(_ service: SharedService, _ operation: String) {
        let hasOthers = watched.withLock { watched in
            watched[service]?.struggles[operation] = nil
            return watched[service]?.struggles.isEmpty == false
        }
        if !hasOthers { note(change(service) { $0.succeed(now: .now) }, service, "") }
    }

    /// Waits until a service answers again.
    ///
    /// - Parameter endsAtShutdown: whether a shutdown ends the wait.
    /// - Returns: false if the service is still away.
    package func waitUntilBack(_ service: SharedService, endsAtShutdown: Bool) async throws -> Bool {
        while isOpen(service) {
            if endsAtShutdown, shutdown.isRequested { return false }
            _ = try await advance(service, endsAtShutdown: endsAtShutdown)
        }
        return true
    }

    /// Waits until no service is away.
    ///
    /// - Returns: false if a shutdown ended the wait.
    package func waitUntilAllAreBack(endsAtShutdown: Bool) async throws -> Bool {
        while let service = away {
            guard try await waitUntilBack(service, endsAtShutdown: endsAtShutdown) else { return false }
        }
        return true
    }

    /// Repeats `body` when a service was away for all events, once the service answers again.
    ///
    /// - Throws: `ServiceAway` at a shutdown; the errors of `body` that are no outage.
    package func riding<Value>(_ body: () async throws -> Value) async throws -> Value {
        while true {
            do {
                let value = try await body()
                for service in watched.withLock({
                    $0.filter { $0.value.breaker.isTrying || !$0.value.struggles.isEmpty }
                }).keys {
                    succeeded(service, "")
                }
                return value
            } catch {
                guard let service = try await outage(behind: error) else { throw error }
                guard try await waitUntilBack(service, endsAtShutdown: true) else { throw ServiceAway(service) }
            }
        }
    }

    /// Probes a service or waits for a probe.
    ///
    /// - Returns: false if the service answers, as far as is known.
    private func advance(_ service: SharedService, endsAtShutdown: Bool) async throws -> Bool {
        try Task.checkCancellation()
        let generation = changed.generation
        let step = watched.withLock { $0[service]?.breaker.step(now: .now) } ?? .closed
        switch step {
        case .closed: return false
        case .probe: try await probe(service)
        case .wait(let time):
            let limit = min(max((time ?? .now + .seconds(1)) - .now, .milliseconds(1)), .seconds(1))
            if endsAtShutdown {
                _ = try await shutdown.interrupting { await self.changed.wait(since: generation, atMost: limit) }
            } else {
                await changed.wait(since: generation, atMost: limit)
            }
        }
        return true
    }

    private func probe(_ service: SharedService) async throws {
        guard let probe = watched.withLock({ $0[service]?.probe }) else { return }
        var reason: String?
        do { try await probe() } catch let error as any OutageSign where error.suspectedOutage?.service == service {
            reason = error.outageReason
        } catch {
            // The service has answered, if only with a refusal.
        }
        if Task.isCancelled {
            _ = change(service) {
                $0.abandonProbe()
                return .none
            }
            throw CancellationError()
        }
        let isBack = reason == nil
        note(change(service) { $0.probed(isBack: isBack, now: .now) }, service, reason ?? "")
    }

    private func isOpen(_ service: SharedService) -> Bool {
        watched.withLock { $0[service]?.breaker.isOpen == true }
    }

    private func isWatched(_ service: SharedService) -> Bool { watched.withLock { $0[service] != nil } }

    private func change(_ service: SharedService, _ body: (inout Breaker) -> Breaker.Change) -> Breaker.Change {
        defer { changed.notify() }
        return watched.withLock { watched in
            guard var entry = watched[service] else { return .none }
            defer { watched[service] = entry }
            return body(&entry.breaker)
        }
    }

    private func note(_ change: Breaker.Change, _ service: SharedService, _ reason: String) {
        switch change {
        case .none: break
        case .opened:
            log.error(
                "\(service.rawValue) is away: taking no new events, and trying again until it answers",
                metadata: ["service": "\(service.rawValue)", "reason": "\(reason)"])
        case .closed(let time):
            log.notice(
                "\(service.rawValue) answers again after \(time.spanText): continuing",
                metadata: ["service": "\(service.rawValue)"])
        }
    }

    // MARK: Redis

    /// Notes a transient failure of Redis; the first one of an outage is logged.
    func redisFailed(_ reason: String) {
        let isFirst = redisAwaySince.withLock { since in
            defer { since = since ?? .now }
            return since == nil
        }
        if isFirst { log.warning("\(reason); trying again until Redis answers") }
    }

    /// Notes that Redis has answered, which is logged if it ends an outage.
    func redisAnswered() {
        guard
            let since = redisAwaySince.withLock({ since -> ContinuousClock.Instant? in
                defer { since = nil }
                return since
            })
        else { return }
        log.notice("Redis answers again after \((ContinuousClock.now - since).spanText): continuing")
    }
}
