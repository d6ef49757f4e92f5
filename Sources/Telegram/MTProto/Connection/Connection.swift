import Compression
import NIOCore
import NIOPosix
import Synchronization
import System

/// Maintains a connection to one data centre of Telegram, executes calls and delivers events.
///
/// `run` must be running for the connection to exist; earlier calls wait for it. After a broken connection, the next one sends the
/// calls without an answer again.
package final class Connection: Sendable {
    /// One thread serves all connections of a program, because its work is quick.
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private let settings: ConnectionSettings
    private let loop: any EventLoop
    private let conversation: NIOLoopBound<Conversation>
    private let buffer: UpdateBuffer<ConnectionEvent>
    private let lastCall = Atomic<CallID>(0)
    /// Is fulfilled by the next call; nil unless `run` waits before the next connection.
    private let nextCall = Mutex<Promise<Void>?>(nil)

    /// - Throws: `MTProtoError`, `configuration`, for settings that cannot work.
    package init(_ settings: ConnectionSettings) async throws(MTProtoError) {
        guard settings.proxy?.secret != nil || !settings.addresses.isEmpty else {
            throw MTProtoError(.configuration, "no address of data centre \(settings.dataCenter) is known")
        }
        let obfuscates = settings.transport.isObfuscated || settings.proxy?.secret != nil
        guard !(obfuscates && settings.transport.kind == .full) else { throw TransportLink.fullIsNotObfuscated }
        Zlib.loadLibrary()
        self.settings = settings
        let (loop, buffer) = (
            Connection.group.next(),
            UpdateBuffer<ConnectionEvent>(maxUpdates: settings.maxUpdates, maxBytes: settings.maxUpdateBytes)
        )
        (self.loop, self.buffer) = (loop, buffer)
        do {
            conversation = try await loop.submit {
                NIOLoopBound(Conversation(settings, buffer, on: loop), eventLoop: loop)
            }.get()
        } catch {
            throw MTProtoError(.closed, "the thread for connections has ended")
        }
    }

    /// The connection's events, for one consumer.
    package var events: ConnectionEvents { ConnectionEvents(buffer: buffer) }

    /// Calls a method of Telegram's API.
    ///
    /// - Parameters:
    ///   - request: the TL bytes of the method, at most a megabyte.
    ///   - timeout: the longest wait for the answer, the time for connecting included.
    /// - Returns: the TL bytes of the result.
    /// - Throws: `TelegramRPCError`, when Telegram refuses; `MTProtoError`.
    package func call(_ request: [UInt8], within timeout: Duration = .seconds(60)) async throws -> [UInt8] {
        let call = lastCall.add(1, ordering: .relaxed).newValue
        let isCancelled = Flag()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                loop.execute { [conversation] in
                    // The task may have been cancelled before this runs.
                    guard !isCancelled.isSet else { return continuation.resume(throwing: Connection.cancelled) }
                    conversation.value.call(call, request, within: timeout, continuation)
                    self.nextCall.withLock { $0 }?.fulfil(.success(()))
                }
            }
        } onCancel: {
            isCancelled.set()
            loop.execute { [conversation] in conversation.value.cancel(call, Connection.cancelled) }
        }
    }

    private static var cancelled: MTProtoError { MTProtoError(.cancelled, "the call was cancelled") }

    /// Keeps the connection up, with new attempts after each failure, until the task is cancelled.
    ///
    /// - Throws: `MTProtoError` when another attempt is of no use: the server breaks the protocol or does not know the key, or the
    ///   settings are wrong.
    package func run() async throws {
        var failures = 0
        while !Task.isCancelled {
            let (failure, wasReady) = try await converse(settings.addresses, attempt: failures)
            if Task.isCancelled { break }
            guard failure.isTransient else {
                await close(failure)
                throw failure
            }
            failures = wasReady ? 0 : failures + 1
            let pause = ReconnectPause.after(failures: failures, failure)
            buffer.add(.waiting(pause, failure))
            await wait(pause, after: failure)
        }
        await close(MTProtoError(.closed, "the connection to Telegram was ended"))
    }

    /// Waits before the next connection, for a shorter time if calls wait for it or are made meanwhile.
    private func wait(_ pause: Duration, after failure: MTProtoError) async {
        let start = ContinuousClock.now
        let isCalled = Promise<Void>()
        nextCall.withLock { $0 = isCalled }
        defer { nextCall.withLock { $0 = nil } }
        let hasCalls = (try? await loop.submit { [conversation] in conversation.value.hasCalls }.get()) ?? false
        let shorter = ReconnectPause.whileCallsWait(pause, failure)
        if !hasCalls, shorter < pause {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await Task.sleep(until: start + pause, clock: .continuous) }
                group.addTask { try? await isCalled.value() }
                await group.next()
                group.cancelAll()
            }
        }
        try? await Task.sleep(until: start + shorter, clock: .continuous)
    }

    private func close(_ reason: MTProtoError) async {
        try? await loop.submit { [conversation] in conversation.value.close(reason) }.get()
        buffer.finish()
    }

    /// Uses one connection until its end, and returns the reason for the end.
    private func converse(
        _ addresses: [ServerAddress], attempt: Int
    ) async throws -> (MTProtoError, wasReady: Bool) {
        let server = addresses.isEmpty ? ServerAddress("", 0) : addresses[attempt % addresses.count]
        let target = settings.proxy?.address ?? server
        let promise = loop.makePromise(of: (any Channel).self)
        connect(to: target, server: server).cascade(to: promise)
        return try await withTaskCancellationHandler {
            do {
                let channel = try await promise.futureResult.get()
                try await withTaskCancellationHandler {
                    try await channel.closeFuture.get()
                } onCancel: {
                    channel.close(promise: nil)
                }
            } catch {
                let failure = SocketFailure.unreachable(target, error)
                try await loop.submit { [conversation] in conversation.value.unreachable(failure) }.get()
            }
            return try await loop.submit { [conversation] in conversation.value.ending() }.get()
        } onCancel: {
            // A connection that is established later finds the conversation closed.
            promise.fail(Connection.cancelled)
        }
    }

    private func connect(to target: ServerAddress, server: ServerAddress) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 8192, maximum: 1 << 18)
            )
            .connectTimeout(min(TimeAmount(settings.connectTimeout), .seconds(10)))
            .channelInitializer { [conversation, loop] channel in
                loop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ConversationHandler(conversation.value, to: server))
                }
            }
            .connect(host: target.host, port: target.port)
    }
}

/// A flag that is set once, from any thread.
private final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .acquiring) }

    func set() { value.store(true, ordering: .releasing) }
}

/// Computes the pause before the next connection.
enum ReconnectPause {
    private static let backoff = Backoff(
        first: .milliseconds(500), longest: .seconds(30), jitter: .plusMinus(0.25))

    /// The longest pause while calls wait for the connection.
    private static let longestWithCalls = Duration.seconds(2)

    /// Returns the part of a pause that calls have to wait out. After a transport flood, it is all of the pause.
    static func whileCallsWait(_ pause: Duration, _ failure: MTProtoError) -> Duration {
        failure.code == .transportFlood ? pause : min(pause, longestWithCalls)
    }

    /// Returns about 50 ms after a connection that worked, and longer and longer pauses after failures in a row.
    ///
    /// After a transport flood the pause is at least 10 seconds, before jitter.
    static func after(failures: Int, _ failure: MTProtoError) -> Duration {
        let least: Duration = failure.code == .transportFlood ? .seconds(10) : .milliseconds(50)
        return backoff.pause(after: failures, atLeast: least)
    }
}
