import MTProto
import System

/// What Telegram says to those who log in, in words that help.
enum LoginRefusal {
    /// - Returns: the error itself, unless there is more to be said than its name.
    static func explained(_ error: TelegramRPCError) -> any ReportableError {
        if let words = refusals[error.name] { return AccountError(.loginRefused, "\(words) (\(error.text))") }
        if let words = waits[error.name] { return AccountError(.tooMuch, "\(words) (\(error.text))") }
        return error
    }

    private static let refusals = [
        "PHONE_NUMBER_BANNED": "Telegram has banned this phone number",
        "PHONE_NUMBER_INVALID": "this is no phone number that Telegram knows: write it with the country's code",
        "PHONE_NUMBER_UNOCCUPIED":
            "this number has no account yet: register in one of Telegram's own applications first",
        "PHONE_CODE_INVALID": "the code is wrong",
        "PHONE_CODE_EMPTY": "the code is wrong",
        "PHONE_CODE_EXPIRED": "the code is too old: log in once more for another",
        "PASSWORD_HASH_INVALID": "the password is wrong",
        "USER_DEACTIVATED": "Telegram has closed this account",
        "USER_DEACTIVATED_BAN": "Telegram has banned this account",
        "ACCESS_TOKEN_INVALID": "Telegram does not know this bot token",
        "ACCESS_TOKEN_EXPIRED": "this bot token was replaced by another",
        "SESSION_PASSWORD_NEEDED": "the account has a second factor: its password is needed",
        "UPDATE_APP_TO_LOGIN":
            "Telegram lets this application not log in: get an api_id of your own at https://my.telegram.org",
    ]
    private static let waits = [
        "PHONE_NUMBER_FLOOD": "too many codes were asked for: try again in some hours",
        "PHONE_PASSWORD_FLOOD": "too many passwords were tried: try again in some hours",
    ]
}
