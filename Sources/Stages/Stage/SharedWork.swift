package import JSON
import Logging
package import Redis
import Synchronization

/// Work that many events ask for, in this process and in others, and that is done once for all of them.
///
/// Without Redis everybody works alone: the log says so once, and the same may be done twice.
package final class SharedWork: Sendable {
    /// What the work came to, for all who asked.
    package struct Product: Sendable {
        let result: JSONObject
        let keptFor: Duration

        /// - Parameter keptFor: for how long those who ask later get it too, without any work.
        package init(_ result: JSONObject, keptFor: Duration = .zero) {
            self.result = result
            self.keptFor = keptFor
        }
    }

    package enum Answer: Sendable {
        case result(JSONObject)
        /// Somebody else is doing it: the event is to be held for so long, and will be woken before if it can be.
        case held(for: Duration)
    }

    private let runtime: Runtime
    private let name: String
    private let lease: Duration
    private let isWithoutRedis = Mutex(false)

    /// - Parameters:
    ///   - name: of this kind of work; part of keys in Redis.
    ///   - lease: how long one that died is believed to be working.
    package init(_ runtime: Runtime, name: String, lease: Duration) {
        (self.runtime, self.name, self.lease) = (runtime, name, lease)
    }

    /// Does the work on an address, or learns what came of it when another event asked for the same.
    ///
    /// - Parameters:
    ///   - mayWork: false for an event that only wants to hear of it.
    ///   - work: cancelled, and begun anew by somebody else, when this process was thought dead. What it throws is the event's own
    ///     failure; others then try for themselves, one after the other.
    package func answer(
        _ address: String, for waiter: Waiter, mayWork: Bool = true,
        work: @escaping @Sendable () async throws -> Product
    ) async throws -> Answer {
        while true {
            guard let joined = try await join(address, waiter, mayWork) else {
                return mayWork ? .result(try await work().result) : .held(for: lease)
            }
            switch joined {
            case .told(let result):
                guard let result = try? JSON(parsing: result).object else { continue }
                return .result(result)
            case .wait(let rest): return .held(for: rest)
            case .own(let ownership):
                if let result = try await own(ownership, work) { return .result(result) }
                runtime.log.notice("thought dead: asking anew", metadata: ["address": "\(address)"])
            }
        }
    }

    /// Forgets a result that was kept and has turned out to be of no use.
    package func forget(_ address: String) async {
        _ = try? await Interest(runtime.redis(), name: name).forget(address)
    }

    /// nil when Redis cannot be asked.
    private func join(_ address: String, _ waiter: Waiter, _ mayOwn: Bool) async throws -> Interest.Answer? {
        do {
            let interest = Interest(try await runtime.redis(), name: name, lease: lease)
            let patience: Duration = isWithoutRedis.withLock { $0 } ? .zero : .seconds(3)
            let answer = try await withRetry(for: patience) { () throws(RedisError) in
                try await interest.join(address, waiter: waiter, mayOwn: mayOwn)
            }
            isWithoutRedis.withLock { $0 = false }
            return answer
        } catch {
            try Task.checkCancellation()
            let isNews = isWithoutRedis.withLock { isWithout in
                defer { isWithout = true }
                return !isWithout
            }
            if isNews { runtime.log.warning("going on without Redis, the same may be done twice: \(error)") }
            return nil
        }
    }

    /// nil when the lease was lost.
    private func own(
        _ ownership: Ownership, _ work: @escaping @Sendable () async throws -> Product
    ) async throws -> JSONObject? {
        let product: Product
        do {
            guard let done = try await ownership.lease.holding(work) else { return nil }
            product = done
        } catch {
            // When this is a shutdown's last moment it is not heard any more, and the lease ends by itself.
            await wake((try? await ownership.abandon()) ?? [])
            throw error
        }
        let result = JSON.object(product.result).bytes
        do {
            // What is not told is done again by one of those who wait, when the lease is over.
            let waiting = try await withRetry(for: lease) { () throws(RedisError) in
                try await ownership.complete(result, keptFor: product.keptFor)
            }
            await wake(waiting ?? [])
        } catch {
            runtime.log.warning("unable to tell those who wait: \(error)")
        }
        return product.result
    }

    private func wake(_ waiters: [Waiter]) async {
        guard !waiters.isEmpty else { return }
        do { try await runtime.wake(waiters) } catch { runtime.log.warning("unable to wake those who wait: \(error)") }
    }
}
