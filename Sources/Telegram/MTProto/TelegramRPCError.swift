package import System

/// Describes Telegram's refusal of a call. No other code parses the texts of such errors.
package struct TelegramRPCError: ReportableError, Equatable, CustomStringConvertible {
    /// Telegram's number for the kind of error: 303, 400, 401, 403, 406, 420, 500, …
    package let code: Int
    /// The text without the number in it: `FLOOD_WAIT`, `USER_MIGRATE`, `FILE_PART_MISSING`.
    package let name: String
    /// The number in the text: seconds to wait, the data centre to call, the missing part.
    package let value: Int?
    /// The text as the server wrote it: `FLOOD_WAIT_3`.
    package let text: String

    package init(code: Int, text: String) {
        self.code = code
        // The text is printed to terminals and files, so it keeps only the printable ASCII that Telegram uses.
        let clean = String(text.unicodeScalars.prefix(200).map { $0.isASCII && $0.value > 31 ? Character($0) : "?" })
        self.text = clean
        let parts = clean.split(separator: "_", omittingEmptySubsequences: false)
        guard let place = parts.indices.dropFirst().last(where: { TelegramRPCError.isNumber(parts[$0]) }),
            let number = Int(parts[place])
        else {
            (name, value) = (clean, nil)
            return
        }
        name = (parts[..<place] + parts[(place + 1)...]).joined(separator: "_")
        value = number
    }

    private static func isNumber(_ text: Substring) -> Bool { !text.isEmpty && text.utf8.allSatisfy { $0 &- 48 < 10 } }

    /// The wait that Telegram demands before this call; nil when it demands none.
    package var wait: Duration? {
        guard let value, TelegramRPCError.waits.contains(name) else { return nil }
        // Telegram's waits last some days at most.
        return .seconds(min(max(value, 1), 30 * 86400))
    }

    private static let waits: Set<String> = [
        "FLOOD_WAIT", "FLOOD_PREMIUM_WAIT", "SLOWMODE_WAIT", "TAKEOUT_INIT_DELAY", "FLOOD_TEST_PHONE_WAIT",
        "2FA_CONFIRM_WAIT", "STORY_SEND_FLOOD", "SESSION_TOO_FRESH", "PASSWORD_TOO_FRESH",
    ]

    private static let unknownLayer =
        "the server does not speak this layer of Telegram's API: choose another with --layer (229, 201 or 181)"

    /// Explanations of errors that a wrong setting causes, whatever method is called.
    private static let settings = [
        "API_ID_INVALID": "Telegram does not know this api_id with this api_hash: see https://my.telegram.org",
        "CONNECTION_API_ID_INVALID": "Telegram does not know this api_id: see https://my.telegram.org",
        "API_ID_PUBLISHED_FLOOD": "this api_id was published, and is blocked: get your own at https://my.telegram.org",
        "CONNECTION_LAYER_INVALID": unknownLayer, "LAYER_INVALID": unknownLayer, "API_LAYER_INVALID": unknownLayer,
    ]

    /// The data centre to call instead, when the error demands that.
    package var dataCenter: Int? { code == 303 && name.hasSuffix("_MIGRATE") ? value : nil }

    /// Is true if the same call may succeed later. `RANDOM_ID_DUPLICATE` has the error code of a transient failure, but
    /// means that the message exists already.
    package var isTransient: Bool { wait != nil || ((code >= 500 || code < 0) && name != "RANDOM_ID_DUPLICATE") }

    package var exitStatus: ExitStatus {
        if code == 420 || wait != nil { return .tryAgain }
        if code == 401 || name == "AUTH_KEY_DUPLICATED" { return .authenticationRefused }
        if TelegramRPCError.settings[name] != nil { return .configuration }
        return .no
    }

    package var message: String {
        if let wait { return "Telegram wants a wait of \(wait.components.seconds) s (\(text))" }
        return switch name {
        case "AUTH_KEY_DUPLICATED": "Telegram has ended this session: it was used by two programs at once (\(text))"
        case "USER_DEACTIVATED", "USER_DEACTIVATED_BAN": "Telegram has closed this account (\(text))"
        case "AUTH_KEY_UNREGISTERED", "SESSION_REVOKED", "SESSION_EXPIRED", "AUTH_KEY_INVALID":
            "this session is not logged in, or was ended (\(text))"
        default: "\(TelegramRPCError.settings[name] ?? "Telegram"): \(text)"
        }
    }

    package var description: String { message }
}
