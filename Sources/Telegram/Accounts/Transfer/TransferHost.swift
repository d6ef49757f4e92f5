import JSON
import TL

/// The connections of an account, as the transfers of files use them.
protocol TransferHost: Sendable {
    var schema: TLSchema { get }
    /// The data centre that takes the account's uploads.
    var homeDataCenter: Int { get async }
    /// Is true if the account has Telegram Premium, which doubles the upload limit.
    var isPremium: Bool { get async throws }

    /// Calls a method on one of the connections for files.
    ///
    /// - Parameters:
    ///   - request: TL bytes. The call may be repeated when a connection breaks.
    ///   - connection: A number from 0. Each number is a connection of its own, opened and logged in at its first use.
    /// - Returns: TL bytes of the result.
    /// - Throws: `TelegramRPCError`, `MTProtoError`.
    func call(
        _ request: [UInt8], at server: TransferServer, connection: Int, within timeout: Duration
    ) async throws -> [UInt8]

    /// Calls a method like `Account.call`.
    func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> TLValue
}

/// A server that has a file or a copy of it.
enum TransferServer: Sendable, Hashable {
    case dataCenter(Int)
    /// An untrusted server: the account does not log in there, and its data is checked.
    case cdn(Int)
}

/// The settings of uploads and downloads.
struct TransferSettings: Sendable {
    /// The number of connections to one data centre.
    var connections = 4
    /// The number of pieces in transit on each connection.
    var piecesPerConnection = 2
    /// The longest time for one call.
    var timeout = Duration.seconds(60)
    /// The longest wait that a transfer accepts when Telegram slows accounts without Telegram Premium down
    /// (`FLOOD_PREMIUM_WAIT`). A longer one is an error.
    var longestWait = Duration.seconds(120)
    /// The same for all other flood waits.
    var longestFloodWait = Duration.seconds(120)
    /// The number of retries of a piece after transient failures.
    var retries = 4

    /// The size of an upload's parts and a download's pieces. Telegram requires a divisor of 1 MiB.
    static let pieceBytes = 512 << 10
    /// The largest number of parts in an upload; Telegram Premium doubles it.
    static let maxParts = 4000

    func connectionCount(for pieces: Int) -> Int { max(1, min(connections, pieces / piecesPerConnection)) }
}
