import JSON
import NIOCore
import Synchronization
import System
import TL

/// Serves one client of an owner: answers its requests, which run concurrently.
final class OwnerConnection: Sendable {
    /// The largest number of concurrent requests of one client.
    static let maxRequests = 256
    /// A client that does not read for this long is disconnected.
    static let writeTimeout = Duration.seconds(30)

    private let owner: AccountOwner
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    /// Fulfilled when the client has disconnected.
    private let disconnected: Promise<Void>
    private let jobs = BackgroundTasks()
    private let writes = PendingWrites()
    /// The requests in flight; each ends early, with the reason, when its promise fails.
    private let requests = Mutex<[Int64: (stop: Promise<Void>, isEndless: Bool)]>([:])

    init(_ owner: AccountOwner, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ disconnected: Promise<Void>) {
        (self.owner, self.outbound, self.disconnected) = (owner, outbound, disconnected)
    }

    /// Returns when the client has ended its input and has received all answers, when it disconnects, or when the owner
    /// ends.
    func run(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, until closing: Promise<Void>) async {
        await first {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.jobs.run() }
                group.addTask {
                    await first({ await self.read(inbound) }, or: { try? await closing.value() })
                    self.finish()
                }
            }
        } or: {
            await first(
                { try? await self.disconnected.value() },
                or: { await self.writes.waitUntilStuck(OwnerConnection.writeTimeout) })
        }
    }

    /// Accepts no more requests, and ends those that have no end of their own.
    private func finish() {
        let reason = AccountError(.ownerGone, "the session's owner is shutting down")
        for request in requests.withLock({ $0 }).values where request.isEndless {
            request.stop.fulfil(.failure(reason))
        }
        jobs.finish()
    }

    private func read(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async {
        var lines = SocketLines(maxLineBytes: OwnerSocket.maxRequestBytes)
        do {
            for try await buffer in inbound {
                for line in try lines.take(buffer) { await take(line) }
            }
            for line in try lines.finish() { await take(line) }
        } catch let error as AccountError {
            await send(OwnerResponse.failure(nil, error))
        } catch {}
    }

    private func take(_ line: [UInt8]) async {
        var id: Int64?
        do {
            guard let json = try? JSON(parsing: line) else {
                throw AccountError(.socketProtocol, "a request must be a line of JSON")
            }
            id = OwnerRequest.id(of: json)
            let request = try OwnerRequest(json)
            guard let id else { return }
            let stop = try admit(request, id)
            let events: Events?
            do { events = try await subscribe(request, id) } catch {
                _ = requests.withLock { $0.removeValue(forKey: id) }
                throw error
            }
            jobs.add { [self] in
                await first({ await self.answer(request, id, events) }, or: { await self.stopped(id, stop) })
                _ = requests.withLock { $0.removeValue(forKey: id) }
            }
        } catch {
            await send(OwnerResponse.failure(id, error))
        }
    }

    private typealias Events = any AsyncSequence<AccountEvent, any Error> & Sendable

    /// Subscribes to events and confirms it, before the next line is read: a client that ends its input right after the
    /// request receives the confirmation too.
    ///
    /// - Returns: nil for requests of other kinds.
    private func subscribe(_ request: OwnerRequest, _ id: Int64) async throws -> Events? {
        guard case .events = request.kind else { return nil }
        let events = try await owner.account.events()
        await send(OwnerResponse.line(id, "result", true))
        return events
    }

    private func admit(_ request: OwnerRequest, _ id: Int64) throws(AccountError) -> Promise<Void> {
        let isEndless = if case .events = request.kind { true } else { false }
        let refusal = requests.withLock { requests -> AccountError? in
            guard requests[id] == nil else {
                return AccountError(.socketProtocol, "the id \(id) belongs to a request in flight: use another")
            }
            guard requests.count < OwnerConnection.maxRequests else {
                return AccountError(
                    .tooMuch,
                    "this client has \(OwnerConnection.maxRequests) requests in flight already: wait for an answer")
            }
            requests[id] = (Promise(), isEndless)
            return nil
        }
        if let refusal { throw refusal }
        return requests.withLock { $0[id]?.stop } ?? Promise()
    }

    private func stopped(_ id: Int64, _ stop: Promise<Void>) async {
        do { try await stop.value() } catch let reason as AccountError {
            await send(OwnerResponse.failure(id, reason))
        } catch {}
    }

    private func answer(_ request: OwnerRequest, _ id: Int64, _ events: Events?) async {
        do {
            if let events { return try await sendEvents(events, id) }
            guard let answer = try await result(of: request, id) else { return }
            try Task.checkCancellation()
            await send(answer)
        } catch {
            guard !Task.isCancelled else { return }
            await send(OwnerResponse.failure(id, error))
        }
    }

    /// Sends a line. If that fails, the client counts as disconnected.
    private func send(_ line: ByteBuffer) async {
        do {
            try await writes.during { try await outbound.write(line) }
        } catch {
            disconnected.fulfil(.success(()))
        }
    }

    /// Carries out a request. Returns its last line, or nil for a subscription, which has none.
    private func result(of request: OwnerRequest, _ id: Int64) async throws -> ByteBuffer? {
        let account = owner.account
        switch request.kind {
        case .call(let method, let parameters):
            return try await sendingProgress(id) { send in
                var options = CallOptions()
                (options.deadline, options.longestWait) = (request.deadline, request.longestWait)
                options.onWait = { send(OwnerResponse.waiting(id, $0)) }
                return OwnerResponse.line(id, "result", try await account.call(method, parameters, options).text())
            }
        case .upload(let path, let key):
            return try await sendingProgress(id) { send in
                let file = try await account.upload(path, key: key) { send(OwnerConnection.progress(id, $0)) }
                return OwnerResponse.line(id, "result", file)
            }
        case .download(let file, let path):
            return try await sendingProgress(id) { send in
                try await account.download(file, to: path) { send(OwnerConnection.progress(id, $0)) }
                return OwnerResponse.line(id, "result", true)
            }
        case .events: return nil
        case .peer(let peer): return OwnerResponse.line(id, "result", try await account.peer(peer) ?? .null)
        case .sentByProgram(let message):
            return OwnerResponse.line(id, "result", .bool(try await account.sentByProgram(message)))
        case .status: return OwnerResponse.line(id, "result", owner.status.json)
        case .cancel(let other):
            let stop = requests.withLock { $0[other]?.stop }
            stop?.fulfil(.failure(AccountError(.cancelled, "the request was cancelled by the client")))
            return OwnerResponse.line(id, "result", .bool(stop != nil))
        }
    }

    private static func progress(_ id: Int64, _ bytes: Int64) -> ByteBuffer {
        OwnerResponse.line(id, "progress", .integer(bytes))
    }

    /// Runs `body`, and sends its messages meanwhile. If they come faster than the client reads them, only the newest
    /// is sent.
    private func sendingProgress(
        _ id: Int64, _ body: @escaping @Sendable (@escaping @Sendable (ByteBuffer) -> Void) async throws -> ByteBuffer
    ) async throws -> ByteBuffer {
        let (messages, adding) = AsyncStream.makeStream(of: ByteBuffer.self, bufferingPolicy: .bufferingNewest(1))
        async let sent: Void = {
            for await line in messages { await self.send(line) }
        }()
        defer { adding.finish() }
        let result = try await body { adding.yield($0) }
        adding.finish()
        await sent
        return result
    }

    private func sendEvents(_ events: Events, _ id: Int64) async throws {
        for try await event in events { await send(OwnerResponse.event(id, event)) }
        try Task.checkCancellation()
        throw AccountError(.ownerGone, "the session's owner has ended")
    }
}
