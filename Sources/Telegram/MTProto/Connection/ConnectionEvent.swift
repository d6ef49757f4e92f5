/// What a connection tells without being asked.
package enum ConnectionEvent: Sendable {
    /// TL bytes of an update, as the server sent them.
    case update([UInt8])
    /// Updates may have been lost: by the server, or because nobody took them here. The difference has to be asked for.
    case gap
    /// An authorization key was made, which is worth keeping. Secret.
    case key(AuthKey)
    /// What the server wants in each message; to be given to the next connection under the same key.
    case salt(Int64)
    /// Calls are carried out now.
    case ready
    /// There is no connection; the next attempt is made after the pause.
    case waiting(Duration, MTProtoError)
}

/// The events of one connection, for one who takes them; ends with it.
package struct ConnectionEvents: AsyncSequence, Sendable {
    let buffer: UpdateBuffer<ConnectionEvent>

    package func makeAsyncIterator() -> Iterator { Iterator(buffer: buffer) }

    package struct Iterator: AsyncIteratorProtocol {
        let buffer: UpdateBuffer<ConnectionEvent>

        // It is finished without an error: `run` throws it.
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
