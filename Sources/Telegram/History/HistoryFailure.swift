import Accounts
import MTProto
package import System
import TL

/// Says why a part of a history cannot be read.
package struct HistoryFailure: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The pool lacks the only account that can answer.
        case otherAccount = "other_account"
        /// No account of the pool can read the chat.
        case noAccess = "no_access"
        /// The chat does not have the user name any more by which it was asked for.
        case otherName = "other_name"
        /// No account of the pool is left.
        case noAccountLeft = "no_account_left"
        /// Telegram tells of messages, but does not show them.
        case refused
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    package var exitStatus: ExitStatus {
        switch code {
        // Another process, which has the account, can take the command from the same queue.
        case .otherAccount: .unavailable
        case .noAccess, .otherName: .no
        case .noAccountLeft: .authenticationRefused
        case .refused: .tryAgain
        }
    }

    package var description: String { message }
}

/// Tells what the failure of a call means for the account that made it.
enum CallFailure {
    /// The account must not call the method for this time.
    case wait(FloodWait)
    /// The account can no longer be used.
    case accountLost(String)
    /// The account cannot read the chat, and is not asked again.
    case noAccess(String)
    /// The chat is of another kind than the call was for.
    case otherKind(String)
    /// Another attempt may succeed.
    case transient(String)
    /// The tool cannot continue.
    case fatal

    init(_ error: any Error, method: String) {
        switch error {
        case let error as TelegramRPCError: self = CallFailure.telegram(error, method)
        case let error as AccountError:
            switch error.code {
            case .unknownPeer, .namesUsedUp: self = .noAccess(CallFailure.words(of: error.message))
            case .notLoggedIn, .loginRefused: self = .accountLost(error.message)
            case .ownerGone, .timedOut, .tooMuch, .busy, .unexpectedAnswer, .socketProtocol:
                self = .transient(error.message)
            default: self = .fatal
            }
        case let error as TLError:
            let words = CallFailure.words(of: error.message)
            self = error.code == .wrongValue ? .otherKind(words) : .noAccess(words)
        case let error as any ReportableError:
            switch error.exitStatus {
            case .unavailable, .tryAgain, .protocolBroken: self = .transient(error.message)
            case .authenticationRefused: self = .accountLost(error.message)
            default: self = .fatal
            }
        default: self = .fatal
        }
    }

    /// Returns an error's words without the place in the call's parameters (`id[0]: …`), which the user did not write.
    private static func words(of message: String) -> String {
        guard let end = message.firstRange(of: ": ") else { return message }
        let isPlace = message[..<end.lowerBound].allSatisfy { $0.isLetter || $0.isNumber || "_.[]".contains($0) }
        return isPlace ? String(message[end.upperBound...]) : message
    }

    private static func telegram(_ error: TelegramRPCError, _ method: String) -> CallFailure {
        if let remaining = error.wait {
            return .wait(FloodWait(method: method, remaining: remaining, reason: error.text))
        }
        if error.exitStatus == .authenticationRefused { return .accountLost(error.message) }
        if error.isTransient { return .transient(error.message) }
        return error.exitStatus == .no ? .noAccess(error.message) : .fatal
    }
}
