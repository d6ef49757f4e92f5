import NIOCore

/// Runs an engine on one event loop, and connects it with sockets, timers and callers. Everything happens on that loop.
final class Conversation {
    private var engine: Engine
    private let events: UpdateBuffer<ConnectionEvent>
    private let loop: any EventLoop
    private var channel: (any Channel)?
    private var calls: [CallID: Waiting] = [:]
    private var timer: Scheduled<Void>?
    private var timerAt = Double.infinity
    private var isFlushDue = false
    /// The error for which this connection is being closed.
    private var failure: MTProtoError?
    /// The reason why the last connection ended, or why there is none.
    private var lastFailure: MTProtoError?
    /// The reason why there will be no further connection; nil before the end.
    private var end: MTProtoError?
    /// Is true if the last connection was ever ready for calls.
    private var wasReady = false

    /// Is true if calls wait for their answers.
    var hasCalls: Bool { !calls.isEmpty }

    private struct Waiting {
        let continuation: CheckedContinuation<[UInt8], any Error>
        let deadline: Scheduled<Void>
    }

    init(_ settings: ConnectionSettings, _ events: UpdateBuffer<ConnectionEvent>, on loop: any EventLoop) {
        (engine, self.events, self.loop) = (Engine(settings), events, loop)
    }

    func call(
        _ call: CallID, _ request: [UInt8], within timeout: Duration,
        _ continuation: CheckedContinuation<[UInt8], any Error>
    ) {
        if let end { return continuation.resume(throwing: end) }
        do {
            try engine.call(call, request)
        } catch {
            return continuation.resume(throwing: error)
        }
        let box = NIOLoopBound(self, eventLoop: loop)
        let deadline = loop.scheduleTask(in: TimeAmount(timeout)) { box.value.giveUp(call) }
        calls[call] = Waiting(continuation: continuation, deadline: deadline)
        // Calls that are made at the same moment share a packet.
        guard !isFlushDue else { return }
        isFlushDue = true
        loop.execute { box.value.flush() }
    }

    private func flush() {
        isFlushDue = false
        proceed { (engine) throws(MTProtoError) in try engine.flush(at: .now) }
    }

    private func giveUp(_ call: CallID) {
        let reason = engine.isReady ? nil : lastFailure
        cancel(call, reason ?? MTProtoError(.timedOut, "Telegram has not answered in time"))
    }

    func cancel(_ call: CallID, _ reason: MTProtoError) {
        guard let waiting = calls.removeValue(forKey: call) else { return }
        waiting.deadline.cancel()
        engine.cancel(call)
        waiting.continuation.resume(throwing: reason)
    }

    func connected(_ channel: any Channel, to address: ServerAddress) {
        guard end == nil else { return channel.close(promise: nil) }
        self.channel = channel
        (wasReady, failure) = (false, nil)
        proceed { (engine) throws(MTProtoError) in try engine.connected(to: address, at: .now) }
    }

    func received(_ buffer: ByteBuffer) {
        proceed { (engine) throws(MTProtoError) in
            try engine.receive(buffer.readableBytesView, at: .now)
        }
    }

    /// Handles the end of a socket.
    func disconnected(_ socketFailure: MTProtoError?) {
        guard channel != nil else { return }
        channel = nil
        engine.disconnected()
        timer?.cancel()
        (timer, timerAt) = (nil, .infinity)
        lastFailure = failure ?? socketFailure ?? MTProtoError(.disconnected, "the server closed the connection")
    }

    /// Lets the engine work, then reports its events, sends its bytes and sets its timer.
    private func proceed(_ body: (inout Engine) throws(MTProtoError) -> Void) {
        guard let channel else { return }
        do throws(MTProtoError) {
            try body(&engine)
        } catch {
            failure = failure ?? error
            channel.close(promise: nil)
        }
        for event in engine.takeEvents() { report(event) }
        guard failure == nil else { return }
        let bytes = engine.takeUnsent()
        if !bytes.isEmpty { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
        schedule()
    }

    private func schedule() {
        let deadline = engine.deadline
        // A timer that fires too early does no harm: `tick` checks the time.
        guard deadline < timerAt, deadline.isFinite else { return }
        timer?.cancel()
        timerAt = deadline
        let delay = min(max(deadline - Moment.now.steady, 0.001), 3600)
        let box = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleTask(in: .nanoseconds(Int64(delay * 1e9))) { box.value.tick() }
    }

    private func tick() {
        (timer, timerAt) = (nil, .infinity)
        guard channel != nil else { return }
        proceed { (engine) throws(MTProtoError) in try engine.tick(at: .now) }
    }

    private func report(_ event: SessionEvent) {
        switch event {
        case .answer(let call, let result):
            guard let waiting = calls.removeValue(forKey: call) else { return }
            waiting.deadline.cancel()
            waiting.continuation.resume(with: result)
        case .connection(let event):
            if case .ready = event { wasReady = true }
            events.add(event)
        }
    }

    /// Returns the reason why there is no connection now, and whether the last one was ever ready.
    func ending() -> (MTProtoError, wasReady: Bool) {
        defer { wasReady = false }
        return (end ?? lastFailure ?? MTProtoError(.disconnected, "the connection was lost"), wasReady)
    }

    /// Notes that no connection could be made.
    func unreachable(_ failure: MTProtoError) { lastFailure = failure }

    /// Ends the conversation: there will be no other connection, and waiting calls fail with `reason`.
    func close(_ reason: MTProtoError) {
        end = end ?? reason
        channel?.close(promise: nil)
        for call in calls.keys { cancel(call, reason) }
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .seconds(seconds) + .nanoseconds(attoseconds / 1_000_000_000)
    }
}
