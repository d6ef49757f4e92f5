import MTProto
import System

/// A connection to one data centre that is kept up until it is stopped.
struct DataCenterConnection: Sendable {
    /// The use of a connection, which decides how its events are handled.
    enum Purpose: Sendable, Equatable {
        /// Calls and updates, in the account's home data centre.
        case main
        /// Files, and calls that belong to other data centres.
        case files
        /// Files of the content delivery network, which has no accounts.
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

    /// Keeps the connection up until `stop` is called or the task is cancelled.
    ///
    /// - Throws: `MTProtoError`, a permanent failure.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await connection.run() }
            group.addTask { try? await stopping.value() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
