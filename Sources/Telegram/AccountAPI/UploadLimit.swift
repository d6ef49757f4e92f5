import Accounts
package import BotAPI
import Logging
package import Options
package import Stage
import Synchronization

/// Tells the size of the largest file that the bot or the account of a tool can send: 50 MB for a bot, 2000 MB for a bot with a local
/// Bot API server and for an account, and 4000 MB for an account with Telegram Premium.
///
/// A tool that sends nothing itself asks the process that owns the account, and does not take the account from others. The answer is
/// kept for an hour, because Premium can be bought and can end.
package final class UploadLimit: Sendable {
    private static let keptFor = Duration.seconds(3600)
    /// Without an answer, the account is asked again after this time.
    private static let askedAgainAfter = Duration.seconds(60)

    private enum Source: Sendable {
        case fixed(Int64?)
        /// Returns nil if nobody can be asked now.
        case account(@Sendable () async throws -> Int64?)
    }

    private let source: Source
    private let log: Logger
    private let known = Mutex<(bytes: Int64, until: ContinuousClock.Instant)?>(nil)

    /// - Throws: `ToolError` (78) for a malformed token or address; `AccountError` for a session whose name is none.
    package convenience init(_ speaker: SpeakerOptions, _ runtime: Runtime) throws {
        // A token may be there for other tools: what sends is the account.
        guard speaker.isAccount, let name = speaker.account.name else {
            self.init(.fixed(try speaker.bot.apiIfConfigured(runtime)?.uploadLimitBytes), runtime.log)
            return
        }
        let (session, connection) = (try NamedSession(name, runtime), speaker.account.connection)
        self.init(
            .account {
                guard session.isShared else { return nil }
                return try await session.withAccount(connection) { try await AccountAPI($0).uploadLimit() }
            }, runtime.log)
    }

    /// Asks an account by a function, which returns nil if nobody can be asked now.
    convenience init(log: Logger, asking account: @escaping @Sendable () async throws -> Int64?) {
        self.init(.account(account), log)
    }

    private init(_ source: Source, _ log: Logger) { (self.source, self.log) = (source, log) }

    /// Returns the limit; nil without a bot and an account.
    package func bytes() async -> Int64? {
        guard case .account(let ask) = source else {
            if case .fixed(let bytes) = source { return bytes }
            return nil
        }
        if let known = known.withLock({ $0 }), known.until > .now { return known.bytes }
        var (answer, reason) = (Int64?.none, "no tg-session shares it")
        do { answer = try await ask() } catch { reason = "\(error)" }
        if answer == nil {
            log.notice("unable to find out whether the account has Telegram Premium: \(reason)")
        }
        let last = known.withLock { $0?.bytes }
        let bytes = answer ?? last ?? AccountAPI.usualUploadLimitBytes
        let time = answer == nil ? UploadLimit.askedAgainAfter : UploadLimit.keptFor
        known.withLock { $0 = (bytes, .now + time) }
        return bytes
    }
}

extension MessagingAPI {
    /// Returns the size of the largest file that can be sent. If Telegram cannot be asked now, it is that of an account without
    /// Premium.
    ///
    /// - Throws: `TelegramError` if the bot or the account cannot be used.
    package func uploadLimit(_ runtime: Runtime) async throws(TelegramError) -> Int64 {
        do throws(TelegramError) { return try await uploadLimit() } catch {
            guard error.isTransient || error.retryAfter != nil else { throw error }
            runtime.log.warning("unable to find out what the account can send: \(error.message)")
            return AccountAPI.usualUploadLimitBytes
        }
    }
}
