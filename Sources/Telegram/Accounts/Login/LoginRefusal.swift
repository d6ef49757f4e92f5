import MTProto
import System

/// Explains Telegram's refusals of a login.
enum LoginRefusal {
    /// - Returns: an error with an explanation, or `error` itself if there is none for its name.
    static func explained(_ error: TelegramRPCError) -> any ReportableError {
        if let words = refusals[error.name] { return AccountError(.loginRefused, "\(words) (\(error.text))") }
        if let words = waits[error.name] { return AccountError(.tooMuch, "\(words) (\(error.text))") }
        return error
    }

    private static let refusals = [
        "PHONE_NUMBER_BANNED": "Telegram has banned this phone number",
        "PHONE_NUMBER_INVALID": "this is not a valid phone number: write it with the country code",
        "PHONE_NUMBER_UNOCCUPIED":
            "this number has no account: register in one of Telegram's own applications first",
        "PHONE_CODE_INVALID": "the code is wrong",
        "PHONE_CODE_EMPTY": "the code is wrong",
        "PHONE_CODE_EXPIRED": "the code has expired: log in again to get another",
        "PASSWORD_HASH_INVALID": "the password is wrong",
        "USER_DEACTIVATED": "this account was deleted",
        "USER_DEACTIVATED_BAN": "Telegram has banned this account",
        "ACCESS_TOKEN_INVALID": "the bot token is not valid: copy it again from @BotFather",
        "ACCESS_TOKEN_EXPIRED": "the bot token was replaced: copy the new one from @BotFather",
        "SESSION_PASSWORD_NEEDED": "the account has a two-factor password, which is needed",
        "UPDATE_APP_TO_LOGIN":
            "Telegram does not let this application log in: get an api_id of your own at https://my.telegram.org",
    ]
    private static let waits = [
        "PHONE_NUMBER_FLOOD": "too many codes were requested: try again in a few hours",
        "PHONE_PASSWORD_FLOOD": "too many wrong passwords: try again in a few hours",
    ]
}
