import JSON
import NIOCore
import Synchronization
import System

/// Requests to an owner that have no answer yet, whichever connection they go over.
final class PendingRequests: Sendable {
    /// At once; the owner takes no more of one client.
    static let most = OwnerConnection.mostRequests - 4

    private struct Pending {
        let line: ByteBuffer
        let isRepeatable: Bool
        var isSent: Bool
        /// Everything but the result and errors.
        let told: @Sendable (OwnerResponseLine) -> Void
        /// nil: for what has no one answer.
        let answer: Promise<[UInt8]>?
    }

    private struct State {
        var pending: [Int64: Pending] = [:]
        var next: Int64 = 0
        var send: (@Sendable (ByteBuffer) -> Void)?
        /// Sent on each connection anew.
        var standing: (text: [UInt8], told: @Sendable (OwnerResponseLine) -> Void)?
        var isClosed = false
        /// Whether the owner has answered anything on this connection.
        var isAnswered = false
    }

    private let state = Mutex(State())

    /// - Parameter isRepeatable: may be sent to the next owner, too, when the one before has not answered.
    /// - Returns: JSON text of the result.
    /// - Throws: what the owner answers; `AccountError`, `ownerGone`, `tooLarge` or `tooMuch`.
    func ask(
        _ request: JSONObject, within limit: Duration, isRepeatable: Bool,
        told: @escaping @Sendable (OwnerResponseLine) -> Void
    ) async throws -> [UInt8] {
        let answer = Promise<[UInt8]>()
        let text = JSON.object(request).bytes
        // With room for the id.
        guard text.count < OwnerSocket.maxRequestBytes - 32 else {
            throw AccountError(
                .tooLarge, "a request to the session's owner has \(OwnerSocket.maxRequestBytes >> 20) MiB at most")
        }
        guard let id = state.withLock({ PendingRequests.add(text, isRepeatable, told, answer, &$0) }) else {
            throw AccountError(.tooMuch, "more than \(PendingRequests.most) requests to the session's owner at once")
        }
        do {
            return try await within(limit, "the session's owner does not answer: is tg-session run still there?") {
                try await answer.value()
            }
        } catch {
            if answer.result == nil { withdraw(id) }
            throw error
        }
    }

    /// Asks for what has no end: now, and on each connection that follows.
    func keepAsking(_ request: JSONObject, told: @escaping @Sendable (OwnerResponseLine) -> Void) {
        let text = JSON.object(request).bytes
        state.withLock { state in
            state.standing = (text, told)
            if state.send != nil { _ = PendingRequests.add(text, false, told, nil, &state) }
        }
    }

    /// - Parameter text: an object that is not empty.
    private static func add(
        _ text: [UInt8], _ isRepeatable: Bool, _ told: @escaping @Sendable (OwnerResponseLine) -> Void,
        _ answer: Promise<[UInt8]>?, _ state: inout State
    ) -> Int64? {
        guard !state.isClosed, state.pending.count < most else { return nil }
        state.next += 1
        let line = ByteBuffer(bytes: Array("{\"id\":\(state.next),".utf8) + text.dropFirst() + [UInt8(ascii: "\n")])
        state.pending[state.next] = Pending(
            line: line, isRepeatable: isRepeatable, isSent: state.send != nil, told: told, answer: answer)
        state.send?(line)
        return state.next
    }

    /// Nobody waits for it any more.
    private func withdraw(_ id: Int64) {
        state.withLock { state in
            guard let pending = state.pending.removeValue(forKey: id), pending.isSent else { return }
            state.next += 1
            state.send?(ByteBuffer(string: "{\"id\":\(state.next),\"cancel\":\(id)}\n"))
        }
    }

    /// There is a connection: what waits is sent.
    func connected(_ send: @escaping @Sendable (ByteBuffer) -> Void) {
        state.withLock { state in
            state.send = send
            for id in state.pending.keys.sorted() {
                guard let pending = state.pending[id], !pending.isSent else { continue }
                state.pending[id]?.isSent = true
                send(pending.line)
            }
            if let standing = state.standing {
                _ = PendingRequests.add(standing.text, false, standing.told, nil, &state)
            }
        }
    }

    /// - Returns: whether the owner has answered anything.
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
            lost, "the session's owner ended before it answered: whether the call was carried out is not known")
        return isAnswered
    }

    func close() {
        let all = state.withLock { state in
            state.isClosed = true
            defer { state.pending = [:] }
            return state.pending.values.compactMap(\.answer)
        }
        fail(all, "the connection to the session's owner was ended")
    }

    private func fail(_ answers: [Promise<[UInt8]>], _ reason: String) {
        for answer in answers { answer.fulfil(.failure(AccountError(.ownerGone, reason))) }
    }

    /// A line of the owner. One that makes no sense, or for which nobody waits, is passed over.
    func take(_ bytes: [UInt8]) {
        guard let line = OwnerResponseLine(bytes) else { return takeRefusal(bytes) }
        let isEnd = line.key == "result" || line.key == "error"
        let pending = state.withLock { state -> Pending? in
            state.isAnswered = true
            guard let pending = state.pending[line.id] else { return nil }
            if isEnd, pending.answer != nil { state.pending[line.id] = nil }
            return pending
        }
        guard let pending else { return }
        guard isEnd, let answer = pending.answer else { return pending.told(line) }
        if line.key == "result" {
            answer.fulfil(.success(Array(line.value)))
        } else {
            answer.fulfil(.failure(ErrorCoding.decode(line.json ?? .null)))
        }
    }

    /// The owner does not want this connection: nothing that was sent over it will be answered.
    private func takeRefusal(_ bytes: [UInt8]) {
        guard bytes.starts(with: #"{"id":null,"error":"#.utf8), let error = (try? JSON(parsing: bytes))?["error"] else {
            return
        }
        let refused = state.withLock { state in
            defer { state.pending = state.pending.filter { !$0.value.isSent } }
            return state.pending.values.filter(\.isSent).compactMap(\.answer)
        }
        for answer in refused { answer.fulfil(.failure(ErrorCoding.decode(error))) }
    }
}
