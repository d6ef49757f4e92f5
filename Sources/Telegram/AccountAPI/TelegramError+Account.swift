import Accounts
import MTProto
import System
import BotAPI

extension TelegramError {
    /// Runs `body`, and throws its failures in the form that the Bot API gives them.
    ///
    /// - Parameter method: the method of the Bot API.
    static func translating<Value>(
        _ method: String, _ body: () async throws -> Value
    ) async throws(TelegramError) -> Value {
        do {
            return try await body()
        } catch let error as TelegramError {
            throw error
        } catch let error as TelegramRPCError {
            throw TelegramError(error, method)
        } catch let error as any ReportableError {
            throw TelegramError(code(of: error), error.message, retryAfter: error.retryAfter)
        } catch {
            throw TelegramError(.network, "the call was cancelled")
        }
    }

    private static func code(of error: any ReportableError) -> TelegramError.Code {
        switch error {
        case let error as MTProtoError:
            switch error.code {
            case .protocolBroken: .protocolBroken
            case .unknownKey: .unauthorized
            case .configuration, .tooLarge: .badRequest
            default: .network
            }
        case let error as AccountError:
            switch error.code {
            case .tooLarge: .tooLarge
            case .referenceLost: .fileRefused
            case .localIO, .emptyFile: .localIO
            case .invalidName, .notFound, .exists, .damaged, .otherVersion, .exposed, .notImportable, .sessionIO:
                .localIO
            case .notLoggedIn, .loginRefused: .unauthorized
            case .unexpectedAnswer, .socketProtocol: .protocolBroken
            case .unknownPeer, .configuration: .badRequest
            default: .network
            }
        default: .badRequest
        }
    }
}

extension TelegramError {
    /// - Parameter method: the method that was called.
    init(_ error: TelegramRPCError, _ method: String) {
        let code: Code =
            if error.wait != nil || error.code == 420 {
                .floodWait
            } else if error.code == 401 || error.name == "AUTH_KEY_DUPLICATED" {
                .unauthorized
            } else if error.isTransient {
                .server
            } else {
                TelegramError.code(of: error)
            }
        let wait = code == .floodWait ? error.wait ?? .seconds(1) : nil
        self.init(code, number: error.code, error.message, retryAfter: wait)
        if wait != nil { waitingCall = (method, error.text) }
    }

    private static let codes: [String: Code] = [
        "MESSAGE_NOT_MODIFIED": .notModified, "MESSAGE_ID_INVALID": .messageNotFound,
        "MSG_ID_INVALID": .messageNotFound, "REPLY_MESSAGE_ID_INVALID": .messageNotFound,
        "MESSAGE_EDIT_TIME_EXPIRED": .messageNotFound, "MESSAGE_AUTHOR_REQUIRED": .messageNotFound,
        "MESSAGE_DELETE_FORBIDDEN": .messageNotFound, "FILE_ID_INVALID": .fileRefused,
        "MEDIA_INVALID": .fileRefused, "MEDIA_EMPTY": .fileRefused, "FILE_PARTS_INVALID": .server,
        "REACTION_INVALID": .reactionRefused, "REACTION_EMPTY": .reactionRefused,
        "REACTIONS_TOO_MANY": .reactionRefused, "CHAT_REACTIONS_DISABLED": .reactionRefused,
        "TOPIC_CLOSED": .topicGone, "TOPIC_DELETED": .topicGone, "TOPIC_ID_INVALID": .topicGone,
        "FILE_PART_MISSING": .server, "MD5_CHECKSUM_INVALID": .server,
    ]

    private static func code(of error: TelegramRPCError) -> Code {
        if let known = codes[error.name] { return known }
        if error.name.hasPrefix("FILE_REFERENCE_") { return .fileRefused }
        return error.code == 403 ? .forbidden : .badRequest
    }
}
