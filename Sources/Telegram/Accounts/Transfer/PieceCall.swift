import MTProto
import System

/// A call for a piece of a file, made again as long as there is hope.
struct PieceCall: Sendable {
    let host: any TransferHost
    let settings: TransferSettings

    /// - Throws: `TelegramRPCError`, `MTProtoError`.
    func callAsFunction(_ request: [UInt8], at place: TransferPlace, line: Int) async throws -> [UInt8] {
        var (failures, waited) = (0, Duration.zero)
        let backoff = Backoff(first: .milliseconds(500), longest: .seconds(60), jitter: .plusMinus(0.25))
        while true {
            do {
                return try await host.call(request, at: place, line: line, within: settings.patience)
            } catch let error as TelegramRPCError {
                if let wait = error.wait {
                    waited += wait
                    let isSlowDown = error.name == "FLOOD_PREMIUM_WAIT"
                    let longest = isSlowDown ? settings.longestWait : settings.longestFloodWait
                    guard wait <= longest, waited <= settings.longestWait * 10 else { throw error }
                    try await Task.sleep(for: wait)
                    continue
                }
                guard error.isTemporary, failures < settings.retries else { throw error }
            } catch let error as MTProtoError {
                guard error.isTemporary, failures < settings.retries else { throw error }
            }
            failures += 1
            try await Task.sleep(for: backoff.pause(after: failures))
        }
    }
}

extension TransferSettings {
    /// Has as many tasks as pieces may be on their way take pieces until there is none.
    func spread(over pieces: Int, _ piece: @escaping @Sendable (_ line: Int) async throws -> Bool) async throws {
        let lines = lines(for: pieces)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<max(1, min(lines * piecesPerConnection, pieces)) {
                group.addTask { while try await piece(worker % lines) { try Task.checkCancellation() } }
            }
            try await group.waitForAll()
        }
    }
}
