import JSON
import NIOCore
import Synchronization
import System

/// Holds the requests to an owner that have no answer yet, across reconnections.
final class PendingRequests: Sendable {
    /// The largest number of concurrent requests; an owner's limit per client, less some room for cancellations.
    static let maxRequests = OwnerConnection.maxRequests - 4

    private struct Pending {
        let line: ByteBuffer
        let isRepeatable: Bool
        var isSent: Bool
        /// Receives each line but the result and errors.
        let onMessage: @Sendable (OwnerResponseLine) -> Void
        /// Fulfilled by the result or an error; nil for a subscription, which has no single answer.
        let answer: Promise<[UInt8]>?
    }

    private struct State {
        var pending: [Int64: Pending] = [:]
        var next: Int64 = 0
        var send: (@Sendable (ByteBuffer) -> Void)?
        /// The subscription, sent anew on each connection.
        var subscription: (text: [UInt8], onMessage: @Sendable (OwnerResponseLine) -> Void)?
        var isClosed = false
        /// Is true if the owner has sent anything on this connection.
        var isAnswered = false
    }

    private let state = Mutex(State())

    /// - Parameter isRepeatable: whether the request may be sent to the next owner if the previous one ended without an
    ///   answer.
    /// - Returns: JSON text of the result.
    /// - Throws: the owner's error; `AccountError`, `ownerGone`, `timedOut`, `tooLarge` or `tooMuch`.
    func ask(
        _ request: OwnerRequest, within limit: Duration, isRepeatable: Bool,
        onMessage: @escaping @Sendable (OwnerResponseLine) -> Void
    ) async throws -> [UInt8] {
        let answer = Promise<[UInt8]>()
        let text = JSON.object(request.members).bytes
        // The id still has to fit.
        guard text.count < OwnerSocket.maxRequestBytes - 32 else {
            throw AccountError(
                .tooLarge, "a request to the session's owner may have at most \(OwnerSocket.maxRequestBytes >> 20) MiB")
        }
        guard let id = state.withLock({ PendingRequests.add(text, isRepeatable, onMessage, answer, &$0) }) else {
            throw AccountError(
                .tooMuch,
                "\(PendingRequests.maxRequests) requests to the session's owner are in flight already: wait for an answer"
            )
        }
        do {
            return try await within(
                limit, "the session's owner does not answer: check that tg-session run is still running"
            ) {
                try await answer.value()
            }
        } catch {
            if answer.result == nil { cancel(id) }
            throw error
        }
    }

    /// Sends a request that has no end: now, and on each later connection.
    func subscribe(_ request: OwnerRequest, onMessage: @escaping @Sendable (OwnerResponseLine) -> Void) {
        let text = JSON.object(request.members).bytes
        state.withLock { state in
            state.subscription = (text, onMessage)
            if state.send != nil { _ = PendingRequests.add(text, false, onMessage, nil, &state) }
        }
    }

    /// Adds a request, and sends it if there is a connection.
    ///
    /// - Parameter text: a JSON object with at least one member.
    ///
    /// - Returns: the request's id; nil if there are too many requests, or after `close`.
    private static func add(
        _ text: [UInt8], _ isRepeatable: Bool, _ onMessage: @escaping @Sendable (OwnerResponseLine) -> Void,
        _ answer: Promise<[UInt8]>?, _ state: inout State
    ) -> Int64? {
        // A subscription is always added: without it, this program would miss events and not know it.
        guard !state.isClosed, answer == nil || state.pending.count < maxRequests else { return nil }
        state.next += 1
        let line = line(text, id: state.next)
        state.pending[state.next] = Pending(
            line: line, isRepeatable: isRepeatable, isSent: state.send != nil, onMessage: onMessage, answer: answer)
        state.send?(line)
        return state.next
    }

    /// Returns the line of a request: its members, after the id.
    private static func line(_ text: [UInt8], id: Int64) -> ByteBuffer {
        ByteBuffer(bytes: Array("{\"id\":\(id),".utf8) + text.dropFirst() + [UInt8(ascii: "\n")])
    }

    /// Cancels a request whose caller no longer waits.
    private func cancel(_ id: Int64) {
        state.withLock { state in
            guard let pending = state.pending.removeValue(forKey: id), pending.isSent else { return }
            state.next += 1
            state.send?(PendingRequests.line(JSON.object(OwnerRequest(.cancel(id)).members).bytes, id: state.next))
        }
    }

    /// Sends all waiting requests over a new connection.
    func connected(_ send: @escaping @Sendable (ByteBuffer) -> Void) {
        state.withLock { state in
            state.send = send
            for id in state.pending.keys.sorted() {
                guard let pending = state.pending[id], !pending.isSent else { continue }
                state.pending[id]?.isSent = true
                send(pending.line)
            }
            if let subscription = state.subscription {
                _ = PendingRequests.add(subscription.text, false, subscription.onMessage, nil, &state)
            }
        }
    }

    /// Fails the requests that must not be sent twice; the others wait for the next connection.
    ///
    /// - Returns: whether the owner has sent anything on the lost connection.
    func disconnected() -> Bool {
        let (lost, isAnswered) = state.withLock { state in
            state.send = nil
            defer { state.isAnswered = false }
            var lost: [Promise<[UInt8]>] = []
            for (id, pending) in state.pending where pending.isSent {
                state.pending[id]?.isSent = false
                guard !pending.isRepeatable else { continue }
                state.pending[id] = nil
                if let answer = pending.answer { lost.append(answer) }
            }
            return (lost, state.isAnswered)
        }
        fail(
            lost, "the session's owner ended before it answered: the call may or may not have been carried out")
        return isAnswered
    }

    func close() {
        let all = state.withLock { state in
            state.isClosed = true
            defer { state.pending = [:] }
            return state.pending.values.compactMap(\.answer)
        }
        fail(all, "the connection to the session's owner was closed")
    }

    private func fail(_ answers: [Promise<[UInt8]>], _ reason: String) {
        for answer in answers { answer.fulfil(.failure(AccountError(.ownerGone, reason))) }
    }

    /// Handles a line from the owner. A line for which no request waits is ignored.
    ///
    /// - Throws: `AccountError` with the code `socketProtocol` for a malformed line. It may have held updates, so the connection must end; the
    ///   next one reports a gap.
    func receive(_ bytes: [UInt8]) throws(AccountError) {
        guard let line = OwnerResponseLine(bytes) else { return try receiveRefusal(bytes) }
        let isEnd = line.key == "result" || line.key == "error"
        let pending = state.withLock { state -> Pending? in
            state.isAnswered = true
            guard let pending = state.pending[line.id] else { return nil }
            if isEnd, pending.answer != nil { state.pending[line.id] = nil }
            return pending
        }
        guard let pending else { return }
        guard isEnd, let answer = pending.answer else { return pending.onMessage(line) }
        if line.key == "result" {
            answer.fulfil(.success(Array(line.value)))
        } else {
            answer.fulfil(.failure(ErrorCoding.decode(line.json ?? .null)))
        }
    }

    /// Handles the owner's refusal of the whole connection: none of the requests sent over it will be answered.
    private func receiveRefusal(_ bytes: [UInt8]) throws(AccountError) {
        guard bytes.starts(with: #"{"id":null,"error":"#.utf8), let error = (try? JSON(parsing: bytes))?["error"] else {
            throw AccountError(.socketProtocol, "the session's owner sent a line that cannot be read")
        }
        let refused = state.withLock { state in
            defer { state.pending = state.pending.filter { !$0.value.isSent } }
            return state.pending.values.filter(\.isSent).compactMap(\.answer)
        }
        for answer in refused { answer.fulfil(.failure(ErrorCoding.decode(error))) }
    }
}
