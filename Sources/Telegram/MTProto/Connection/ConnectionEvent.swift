/// An event of a connection other than the answer to a call.
package enum ConnectionEvent: Sendable {
    /// The TL bytes of an update, as the server sent them.
    case update([UInt8])
    /// Updates may have been lost, at the server or because this side's buffer was full: request the difference.
    case gap
    /// A permanent authorisation key was made, to be stored. Secret.
    case key(AuthKey)
    /// The salt, a number that each message must hold, changed; pass it to the next connection with the same key.
    case salt(Int64)
    /// The connection is ready: calls are executed now.
    case ready
    /// There is no connection, for this reason; the next attempt follows after this backoff.
    case waiting(Duration, MTProtoError)
}

/// The events of one connection, for one consumer. The sequence ends with the connection.
package struct ConnectionEvents: AsyncSequence, Sendable {
    let buffer: UpdateBuffer<ConnectionEvent>

    package func makeAsyncIterator() -> Iterator { Iterator(buffer: buffer) }

    package struct Iterator: AsyncIteratorProtocol {
        let buffer: UpdateBuffer<ConnectionEvent>

        // The buffer ends without an error, because `run` throws it.
        package func next() async -> ConnectionEvent? { (try? await buffer.next()) ?? nil }
    }
}

extension ConnectionEvent: BufferedEvent {
    package var updateBytes: Int? { if case .update(let body) = self { body.count } else { nil } }

    package func replaces(_ older: ConnectionEvent) -> Bool {
        switch (older, self) {
        case (.ready, .ready), (.ready, .waiting), (.waiting, .ready), (.waiting, .waiting), (.salt, .salt),
            (.gap, .gap):
            true
        default: false
        }
    }
}
