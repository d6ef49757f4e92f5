package import JSON
package import TL

/// An account at Telegram, used over connections of this process or through the process that owns it.
///
/// Telegram's values are JSON in the form of docs/tl.md, in the layer of `schema`.
package protocol Account: Sendable {
    var userID: Int64 { get }
    var isBot: Bool { get }
    var schema: TLSchema { get }

    /// Calls a method, in the data centre that it must be called in.
    ///
    /// - Parameter parameters: the method's parameters, without `_`. A string or a number may be given in place of an
    ///   `InputPeer`, `InputUser` or `InputChannel`: `me`, `@name`, a t.me link, or an id in the Bot API's form.
    /// - Throws: `TelegramRPCError`, `MTProtoError`, `TLError`, `AccountError`.
    func call(_ method: String, _ parameters: JSONObject, _ options: CallOptions) async throws -> TLValue

    /// Uploads a file from this machine, several parts at once. An interrupted upload continues with the missing parts.
    ///
    /// - Parameter key: at most 200 bytes. An upload with the key of an interrupted one continues it.
    /// - Returns: an `InputFile`, valid for some hours.
    func upload(_ path: String, key: String, onProgress: @escaping TransferProgress) async throws -> JSON

    /// Downloads a file to this machine, several pieces at once. Pieces from a CDN are checked against Telegram's
    /// hashes.
    ///
    /// - Parameters:
    ///   - file: The file and its data centre.
    ///   - path: The file to write. An interrupted download is continued. When this returns, the file is complete and
    ///     on the disk.
    func download(_ file: RemoteFile, to path: String, onProgress: @escaping TransferProgress) async throws

    /// Returns the events from now on: updates, and changes of the connection. There may be several listeners.
    func events() async throws -> any AsyncSequence<AccountEvent, any Error> & Sendable

    /// Returns the stored object of a peer, without a request to Telegram: a `user`, `chat` or `channel` with
    /// `access_hash`, names and title; nil if the peer is unknown.
    ///
    /// - Parameter id: the peer's id in the Bot API's form.
    func peer(_ id: Int64) async throws -> JSON?

    /// Returns whether a program sent a message through this session, and not the account's owner by hand.
    ///
    /// - Parameter message: a `Message` of TL that the account wrote.
    func sentByProgram(_ message: JSON) async throws -> Bool
}

/// Receives the number of bytes transferred so far.
package typealias TransferProgress = @Sendable (_ bytes: Int64) -> Void

/// The time limits of a call.
package struct CallOptions: Sendable {
    /// The longest time for the whole call, not counting flood waits.
    package var deadline: Duration = .seconds(60)
    /// Flood waits up to this long are waited for within the call; a longer one is thrown at once.
    package var longestWait: Duration = .zero
    /// Called before such a wait begins.
    package var onWait: (@Sendable (FloodWait) -> Void)?

    package init() {}
}

/// A flood wait: a method may not be called again before `remaining` is over.
package struct FloodWait: Sendable, Equatable {
    package let method: String
    package let remaining: Duration
    /// Telegram's error, such as `FLOOD_WAIT_31`.
    package let reason: String

    package init(method: String, remaining: Duration, reason: String) {
        (self.method, self.remaining, self.reason) = (method, remaining, reason)
    }
}

/// An event of an account: updates from Telegram, or a change of the connection.
package enum AccountEvent: Sendable {
    /// An `Updates` object. Results of this account's own calls are among them.
    case updates(TLValue)
    /// Updates may have been lost; the difference must be requested.
    case gap
    /// There is no connection now, for this reason.
    case waiting(String)
    /// The connection is ready: calls are executed now.
    case ready
}

/// Identifies a file at Telegram.
package struct RemoteFile: Sendable, Equatable {
    /// An `InputFileLocation`.
    package var location: JSON
    package var dataCenter: Int
    /// The size in bytes; nil if it is unknown.
    package var sizeBytes: Int64?
    /// The message that contains the file; a new file reference is taken from it when the old one expires.
    package var origin: MessageOrigin?

    package init(location: JSON, dataCenter: Int, sizeBytes: Int64?, origin: MessageOrigin?) {
        (self.location, self.dataCenter, self.sizeBytes, self.origin) = (location, dataCenter, sizeBytes, origin)
    }

    /// Returns whether a file may have this size. Larger numbers cannot be true, and would overflow later arithmetic.
    static func isPossible(sizeBytes: Int64?) -> Bool { (0...1 << 40).contains(sizeBytes ?? 0) }
}

/// A message that contains a file.
package struct MessageOrigin: Sendable, Equatable {
    /// The Bot API id of the chat.
    package let chatID: Int64
    package let messageID: Int64

    package init(chatID: Int64, messageID: Int64) { (self.chatID, self.messageID) = (chatID, messageID) }
}

/// The identity of an account.
struct AccountIdentity: Sendable, Equatable {
    let userID: Int64
    let isBot: Bool
}
