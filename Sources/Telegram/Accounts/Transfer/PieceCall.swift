import MTProto
import System

/// Calls a method that transfers a piece of a file; retries transient failures, and waits when Telegram demands it.
struct PieceCall: Sendable {
    let host: any TransferHost
    let settings: TransferSettings

    /// - Throws: `TelegramRPCError`, `MTProtoError`.
    func callAsFunction(_ request: [UInt8], at server: TransferServer, connection: Int) async throws -> [UInt8] {
        var (failures, waited) = (0, Duration.zero)
        let backoff = Backoff(first: .milliseconds(500), longest: .seconds(60), jitter: .plusMinus(0.25))
        while true {
            do {
                return try await host.call(request, at: server, connection: connection, within: settings.timeout)
            } catch let error as TelegramRPCError {
                if let wait = error.wait {
                    waited += wait
                    let isSlowDown = error.name == "FLOOD_PREMIUM_WAIT"
                    let longest = isSlowDown ? settings.longestWait : settings.longestFloodWait
                    guard wait <= longest, waited <= settings.longestWait * 10 else { throw error }
                    try await Task.sleep(for: wait)
                    continue
                }
                guard error.isTransient, failures < settings.retries else { throw error }
            } catch let error as MTProtoError {
                guard error.isTransient, failures < settings.retries else { throw error }
            }
            failures += 1
            try await Task.sleep(for: backoff.pause(after: failures))
        }
    }
}

extension TransferSettings {
    /// Runs `piece` in as many tasks as there may be pieces in transit; each task calls it until it returns false.
    ///
    /// - Parameter piece: transfers the next piece over the given connection; returns false if there is none.
    func spread(over pieces: Int, _ piece: @escaping @Sendable (_ connection: Int) async throws -> Bool) async throws {
        let connections = connectionCount(for: pieces)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<max(1, min(connections * piecesPerConnection, pieces)) {
                group.addTask { while try await piece(worker % connections) { try Task.checkCancellation() } }
            }
            try await group.waitForAll()
        }
    }
}
