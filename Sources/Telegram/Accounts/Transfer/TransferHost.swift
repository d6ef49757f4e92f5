import JSON
import TL

/// What the transfers of files need of an account's connections.
protocol TransferHost: Sendable {
    var schema: TLSchema { get }
    /// Where parts of files have to be when a message is made of them.
    var homeDataCenter: Int { get async }
    /// Whether the account may upload files of twice the size.
    var isPremium: Bool { get async throws }

    /// Calls a method on one of the connections for files.
    ///
    /// - Parameters:
    ///   - request: TL bytes; the call may be made again when a connection breaks.
    ///   - line: from 0; each stands for a connection of its own, which is made when it is wanted, and signed in.
    /// - Returns: TL bytes of the result.
    /// - Throws: `TelegramRPCError`, `MTProtoError`.
    func call(
        _ request: [UInt8], at place: TransferPlace, line: Int, within patience: Duration
    ) async throws -> [UInt8]

    /// Calls a method as `Account` does.
    func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> [UInt8]
}

/// Where a file, or a copy of it, is kept.
enum TransferPlace: Sendable, Hashable {
    case dataCenter(Int)
    /// A server that is not trusted: nobody is signed in there, and what it sends is checked.
    case cdn(Int)
}

/// How files are brought over.
struct TransferSettings: Sendable {
    /// Connections to one data centre.
    var connections = 4
    /// Pieces on their way at once, on each of them.
    var piecesPerConnection = 2
    /// For one piece.
    var patience = Duration.seconds(60)
    /// Telegram slows accounts down by waits; longer ones than this are an error.
    var longestWait = Duration.seconds(120)
    /// The same for waits that are no mere slow-down of accounts without Telegram Premium.
    var longestFloodWait = Duration.seconds(120)
    /// How often a piece is asked for again when the server has trouble, or the connection.
    var retries = 4

    /// Divides a mebibyte, as Telegram wants it, both for parts of uploads and pieces of downloads.
    static let pieceBytes = 512 << 10
    /// Of one upload; with Telegram Premium twice that.
    static let mostParts = 4000

    func lines(for pieces: Int) -> Int { max(1, min(connections, pieces / piecesPerConnection)) }
}
