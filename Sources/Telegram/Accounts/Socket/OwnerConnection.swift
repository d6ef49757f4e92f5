import JSON
import NIOCore
import Synchronization
import System

/// One client of an owner: its requests, side by side, and their answers.
final class OwnerConnection: Sendable {
    /// Of one client, at once.
    static let mostRequests = 256
    /// A client that takes nothing for so long is gone.
    static let patience = Duration.seconds(30)

    private let owner: AccountOwner
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    /// Fulfilled when the client is gone.
    private let gone: Promise<Void>
    private let jobs = BackgroundTasks()
    private let writes = PendingWrites()
    /// The requests in flight; each ends early, with the reason, when its promise fails.
    private let requests = Mutex<[Int64: (stop: Promise<Void>, isEndless: Bool)]>([:])

    init(_ owner: AccountOwner, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ gone: Promise<Void>) {
        (self.owner, self.outbound, self.gone) = (owner, outbound, gone)
    }

    /// Until the client has ended its input and has all answers, is gone, or the owner ends.
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
                { try? await self.gone.value() }, or: { await self.writes.waitUntilStuck(OwnerConnection.patience) })
        }
    }

    /// No more requests; what would never end by itself ends.
    private func finish() {
        let reason = AccountError(.ownerGone, "the session's owner ends")
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
                throw AccountError(.socketProtocol, "a request has to be a line of JSON")
            }
            id = json["id"]?.int
            let request = try OwnerRequest(json)
            let stop = try admit(request)
            jobs.add { [self] in
                await first({ await self.answer(request) }, or: { await self.stopped(request.id, stop) })
                _ = requests.withLock { $0.removeValue(forKey: request.id) }
            }
        } catch {
            await send(OwnerResponse.failure(id, error))
        }
    }

    private func admit(_ request: OwnerRequest) throws(AccountError) -> Promise<Void> {
        let isEndless = if case .events = request.kind { true } else { false }
        let refusal = requests.withLock { requests -> AccountError? in
            guard requests[request.id] == nil else {
                return AccountError(.socketProtocol, "the id \(request.id) is in use")
            }
            guard requests.count < OwnerConnection.mostRequests else {
                return AccountError(.tooMuch, "more than \(OwnerConnection.mostRequests) requests at once")
            }
            requests[request.id] = (Promise(), isEndless)
            return nil
        }
        if let refusal { throw refusal }
        return requests.withLock { $0[request.id]?.stop } ?? Promise()
    }

    private func stopped(_ id: Int64, _ stop: Promise<Void>) async {
        do { try await stop.value() } catch let reason as AccountError {
            await send(OwnerResponse.failure(id, reason))
        } catch {}
    }

    private func answer(_ request: OwnerRequest) async {
        do {
            guard let answer = try await result(of: request) else { return }
            try Task.checkCancellation()
            await send(answer)
        } catch {
            guard !Task.isCancelled else { return }
            await send(OwnerResponse.failure(request.id, error))
        }
    }

    /// A client that does not take it is gone.
    private func send(_ line: ByteBuffer) async {
        do {
            try await writes.during { try await outbound.write(line) }
        } catch {
            gone.fulfil(.success(()))
        }
    }

    /// nil: everything was said already.
    private func result(of request: OwnerRequest) async throws -> ByteBuffer? {
        let (id, account) = (request.id, owner.account)
        switch request.kind {
        case .call(let method, let parameters):
            return try await telling(id) { tell in
                var options = CallOptions()
                (options.deadline, options.longestWait) = (request.deadline, request.longestWait)
                options.onWait = { tell(OwnerResponse.waiting(id, $0)) }
                return OwnerResponse.line(id, "result", try await account.call(method, parameters, options))
            }
        case .upload(let path, let key):
            return try await telling(id) { tell in
                let file = try await account.upload(path, key: key) { tell(OwnerConnection.progress(id, $0)) }
                return OwnerResponse.line(id, "result", file)
            }
        case .download(let file, let path):
            return try await telling(id) { tell in
                try await account.download(file, to: path) { tell(OwnerConnection.progress(id, $0)) }
                return OwnerResponse.line(id, "result", true)
            }
        case .events:
            try await tellEvents(id)
            return nil
        case .peer(let peer): return OwnerResponse.line(id, "result", try await account.peer(peer) ?? .null)
        case .status: return OwnerResponse.line(id, "result", owner.status)
        case .cancel(let other):
            let stop = requests.withLock { $0[other]?.stop }
            stop?.fulfil(.failure(AccountError(.cancelled, "the request was given up")))
            return OwnerResponse.line(id, "result", .bool(stop != nil))
        }
    }

    private static func progress(_ id: Int64, _ bytes: Int64) -> ByteBuffer {
        OwnerResponse.line(id, "progress", .integer(bytes))
    }

    /// Runs `body`, and sends what it tells meanwhile: of what comes faster than the client takes it, the newest.
    private func telling(
        _ id: Int64, _ body: @escaping @Sendable (@escaping @Sendable (ByteBuffer) -> Void) async throws -> ByteBuffer
    ) async throws -> ByteBuffer {
        let (told, telling) = AsyncStream.makeStream(of: ByteBuffer.self, bufferingPolicy: .bufferingNewest(1))
        async let sent: Void = {
            for await line in told { await self.send(line) }
        }()
        defer { telling.finish() }
        let result = try await body { telling.yield($0) }
        telling.finish()
        await sent
        return result
    }

    private func tellEvents(_ id: Int64) async throws {
        let events = try await owner.account.events()
        await send(OwnerResponse.line(id, "result", true))
        for try await event in events { await send(OwnerResponse.event(id, event)) }
        try Task.checkCancellation()
        throw AccountError(.ownerGone, "the session's owner has ended")
    }
}
