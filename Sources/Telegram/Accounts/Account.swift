package import JSON
package import TL

/// An account at Telegram, ready to be used: by a connection of this process, or through the process that owns it.
///
/// Values of Telegram are JSON as docs/tl.md has it, in the layer of `schema`.
package protocol Account: Sendable {
    var userID: Int64 { get }
    var isBot: Bool { get }
    var schema: TLSchema { get }

    /// Calls a method. Whichever data centre it has to be called in, it is.
    ///
    /// - Parameter parameters: without `_`. Where an `InputPeer`, `InputUser` or `InputChannel` is wanted, a string or a number
    ///   stands for it: `me`, `@name`, a t.me link, an id as the Bot API writes it.
    /// - Returns: JSON text of the result.
    /// - Throws: `TelegramRPCError`, `MTProtoError`, `TLError`, `AccountError`.
    func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> [UInt8]

    /// Uploads a file from this machine, in parts, several at once; what an interrupted attempt has brought over is not sent again.
    ///
    /// - Parameter key: the same for the same content and purpose, so that an attempt can be gone on with; at most 200 bytes.
    /// - Returns: an `InputFile`, good for some hours.
    func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON

    /// Downloads a file to this machine, several parts at once; what does not come from Telegram itself is checked by the hashes that it tells.
    ///
    /// - Parameters:
    ///   - file: what it is and where.
    ///   - path: made or gone on with; whole and durable when this returns.
    func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws

    /// What happens without being asked, from now on. Several may listen.
    func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable

    /// What is known of a peer without asking Telegram: a `user`, `chat` or `channel` object with `access_hash`, names and title.
    ///
    /// - Parameter id: as the Bot API writes it.
    func peer(_ id: Int64) async throws -> JSON?
}

/// Bytes brought over so far.
package typealias TransferProgress = @Sendable (_ bytes: Int64) -> Void

/// How a call is made.
package struct CallOptions: Sendable {
    /// For the whole call, without the waits that Telegram wants.
    package var deadline: Duration = .seconds(60)
    /// Waits that Telegram wants are kept to inside of the call up to this; longer ones are thrown at once.
    package var longestWait: Duration = .zero
    /// Told before such a wait begins.
    package var onWait: (@Sendable (FloodWait) -> Void)?

    package init() {}
}

/// A wait that Telegram wants.
package struct FloodWait: Sendable, Equatable {
    package let method: String
    package let remaining: Duration
    /// As Telegram wrote it: `FLOOD_WAIT_31`.
    package let reason: String

    package init(method: String, remaining: Duration, reason: String) {
        (self.method, self.remaining, self.reason) = (method, remaining, reason)
    }
}

/// What happens at Telegram, or with the connection to it.
package enum AccountEvent: Sendable {
    /// JSON text of an `Updates` object. Those that calls of this account resulted in are among them.
    case updates([UInt8])
    /// Updates may have been lost: the difference has to be asked for.
    case gap
    /// There is no connection now, and why.
    case waiting(String)
    case ready
}

/// A file that Telegram keeps.
package struct RemoteFile: Sendable, Equatable {
    /// An `InputFileLocation`.
    package var location: JSON
    package var dataCenter: Int
    /// nil: unknown.
    package var sizeBytes: Int64?
    /// Where it was seen: what brings a new file reference when Telegram does not take the old one any more.
    package var origin: MessageOrigin?

    package init(location: JSON, dataCenter: Int, sizeBytes: Int64?, origin: MessageOrigin?) {
        (self.location, self.dataCenter, self.sizeBytes, self.origin) = (location, dataCenter, sizeBytes, origin)
    }

    /// Whether a file may be of that size: more than Telegram will ever take is made up, and would overflow what is computed with it.
    static func isPossible(sizeBytes: Int64?) -> Bool { (0...1 << 40).contains(sizeBytes ?? 0) }
}

/// A message that a file came with.
package struct MessageOrigin: Sendable, Equatable {
    /// As the Bot API writes it.
    package let chatID: Int64
    package let messageID: Int64

    package init(chatID: Int64, messageID: Int64) { (self.chatID, self.messageID) = (chatID, messageID) }
}
