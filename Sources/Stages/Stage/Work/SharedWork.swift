package import JSON
import Logging
package import Redis
import Synchronization

/// Does work once for all events that ask for it, in this process and in others.
///
/// Without Redis each process works alone, so the same work may be done twice. One log line reports this.
package final class SharedWork: Sendable {
    /// The result of the work, for all events that asked for it.
    package struct Product: Sendable {
        let result: JSONObject
        let keptFor: Duration

        /// - Parameter keptFor: the time for which later requests get the result too, without any work.
        package init(_ result: JSONObject, keptFor: Duration = .zero) {
            self.result = result
            self.keptFor = keptFor
        }
    }

    package enum Answer: Sendable {
        case result(JSONObject)
        /// Another event's handler does the work: the caller holds its event for at most this time, and may be woken earlier.
        case held(for: Duration)
    }

    private let runtime: Runtime
    private let name: String
    private let lease: Duration
    private let isWithoutRedis = Mutex(false)

    /// - Parameters:
    ///   - name: the kind of work; part of keys in Redis.
    ///   - lease: the time after which another process takes over the work of one that died.
    package init(_ runtime: Runtime, name: String, lease: Duration) {
        Redis.loadLibrary()
        (self.runtime, self.name, self.lease) = (runtime, name, lease)
    }

    /// Does the work on an address, or returns the result if another event asked for the same.
    ///
    /// - Parameters:
    ///   - mayWork: false for an event that only waits for the result.
    ///   - work: is cancelled, and done by another process, if this process loses its lease. Its error is the event's own failure;
    ///     the other waiters then try for themselves, one after the other. It gets the number of its ownership, which is greater than
    ///     those of all earlier owners; nil without Redis, when others may do the same work.
    package func answer(
        _ address: String, for waiter: Waiter, mayWork: Bool = true,
        work: @escaping @Sendable (_ fence: Int64?) async throws -> Product
    ) async throws -> Answer {
        while true {
            guard let joined = try await join(address, waiter, mayWork) else {
                return mayWork ? .result(try await work(nil).result) : .held(for: lease)
            }
            switch joined {
            case .result(let result):
                guard let result = try? JSON(parsing: result).object else { continue }
                return .result(result)
            case .wait(let rest):
                runtime.log.info("waiting for another request's work", metadata: ["waits_for": "\(name):\(address)"])
                return .held(for: rest)
            case .own(let ownership):
                runtime.log.info(
                    "working for all requests that ask for it", metadata: ["works_for": "\(name):\(address)"])
                if let result = try await own(ownership, work) { return .result(result) }
                runtime.log.notice("lost the lease: asking again", metadata: ["address": "\(address)"])
            }
        }
    }

    /// Ends the wait of an event that needs the result no longer.
    ///
    /// Otherwise an owner that gives up could wake it in place of an event that still waits.
    package func leave(_ address: String, _ waiter: Waiter) async {
        _ = await runtime.redisIfThere { redis throws(RedisError) in
            try await Interest(redis, name: name).leave(address, waiter: waiter)
        }
    }

    /// Forgets a kept result that has turned out to be unusable.
    package func forget(_ address: String) async {
        _ = try? await Interest(runtime.redis(), name: name).forget(address)
    }

    /// Joins the interest in an address; returns nil if Redis cannot be reached.
    private func join(_ address: String, _ waiter: Waiter, _ mayOwn: Bool) async throws -> Interest.Answer? {
        do {
            let interest = Interest(try await runtime.redis(), name: name, lease: lease)
            let limit: Duration = isWithoutRedis.withLock { $0 } ? .zero : .seconds(3)
            let answer = try await withRetry(for: limit) { () throws(RedisError) in
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
            if isNews { runtime.log.warning("continuing without Redis, the same work may be done twice: \(error)") }
            return nil
        }
    }

    /// Does the work as its owner; returns nil if the lease was lost.
    private func own(
        _ ownership: Ownership, _ work: @escaping @Sendable (_ fence: Int64?) async throws -> Product
    ) async throws -> JSONObject? {
        let product: Product
        do {
            guard let done = try await ownership.lease.holding({ try await work(ownership.lease.token) }) else {
                return nil
            }
            product = done
        } catch {
            // The work may have been cancelled, which must not cancel this. At the very end of a shutdown, the call may fail; the
            // lease then expires.
            await Task { await wake((try? await ownership.abandon()) ?? []) }.value
            throw error
        }
        let result = JSON.object(product.result).bytes
        do {
            // If this fails, one of the waiters does the work again when the lease is over.
            let waiting = try await withRetry(for: lease) { () throws(RedisError) in
                try await ownership.complete(result, keptFor: product.keptFor)
            }
            await wake(waiting ?? [])
        } catch {
            runtime.log.warning("unable to publish the result to waiters: \(error)")
        }
        return product.result
    }

    private func wake(_ waiters: [Waiter]) async {
        guard !waiters.isEmpty else { return }
        do { try await runtime.wake(waiters) } catch { runtime.log.warning("unable to wake waiters: \(error)") }
    }
}
