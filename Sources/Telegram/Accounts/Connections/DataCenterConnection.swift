import MTProto
import System

/// A connection that is kept up, and a way to end it.
struct DataCenterConnection: Sendable {
    /// What it is for: what becomes of its events.
    enum Purpose: Sendable, Equatable {
        /// Calls and updates, at home.
        case main
        /// Files, and what other data centres have to be asked.
        case files
        /// Files at a data centre of another's, which knows nobody.
        case cdn
    }

    let dataCenter: Int
    let purpose: Purpose
    let connection: Connection
    private let stopping = Promise<Void>()

    init(_ connection: Connection, to dataCenter: Int, _ purpose: Purpose) {
        (self.connection, self.dataCenter, self.purpose) = (connection, dataCenter, purpose)
    }

    func stop() { stopping.fulfil(.success(())) }

    /// Keeps it up until it is stopped, or the task cancelled.
    ///
    /// - Throws: `MTProtoError`, when another attempt would be of no use.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await connection.run() }
            group.addTask { try? await stopping.value() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
