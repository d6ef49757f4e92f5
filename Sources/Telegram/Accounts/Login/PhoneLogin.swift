import JSON
import MTProto

extension Login {
    /// The result of a login step.
    package enum Step: Sendable {
        case done(Owner)
        /// The code or the password is wrong.
        case wrong
        case passwordNeeded
    }

    /// A login code that Telegram has sent.
    package struct SentCode: Sendable {
        /// The way by which the code was sent, as text for the user.
        package let way: String
        let hash: JSON
        let phone: JSON
    }

    /// Requests a login code for a phone number.
    ///
    /// - Throws: `AccountError`, `loginRefused`.
    package func sendCode(phone: String) async throws -> SentCode {
        let number = JSON.string(phone.filter { $0.isASCII && ($0.isNumber || $0 == "+") })
        let settings: JSON = .object(["_": "codeSettings"])
        return try sent(
            await ask(
                "auth.sendCode",
                ["phone_number": number, "api_id": apiID, "api_hash": apiHash, "settings": settings]), number)
    }

    /// Requests another code, by the next way that Telegram offers.
    package func resendCode(_ code: SentCode) async throws -> SentCode {
        try sent(await ask("auth.resendCode", ["phone_number": code.phone, "phone_code_hash": code.hash]), code.phone)
    }

    private func sent(_ answer: JSON, _ phone: JSON) throws -> SentCode {
        guard answer["_"]?.string == "auth.sentCode", let hash = answer["phone_code_hash"] else {
            throw AccountError(
                .loginRefused,
                "Telegram requires a way to log in that this version of tgpipe does not support: log in with --qr")
        }
        let way =
            switch answer["type"]?["_"]?.string {
            case "auth.sentCodeTypeApp": "in Telegram, on another device"
            case "auth.sentCodeTypeSms", "auth.sentCodeTypeSmsWord", "auth.sentCodeTypeSmsPhrase": "by SMS"
            case "auth.sentCodeTypeCall": "by a phone call"
            case "auth.sentCodeTypeFlashCall", "auth.sentCodeTypeMissedCall":
                "as the last digits of the number that calls you"
            case "auth.sentCodeTypeEmailCode": "by e-mail"
            case "auth.sentCodeTypeFragmentSms": "at fragment.com"
            default: "in a way that this version of tgpipe does not know"
            }
        return SentCode(way: way, hash: hash, phone: phone)
    }

    /// - Throws: `AccountError`, `loginRefused`, if another code would not help either.
    package func signIn(_ code: SentCode, with digits: String) async throws -> Step {
        do {
            let answer = try await client.ask(
                "auth.signIn",
                ["phone_number": code.phone, "phone_code_hash": code.hash, "phone_code": .string(digits)])
            return .done(try await owner(answer))
        } catch let error as TelegramRPCError {
            switch error.name {
            case "PHONE_CODE_INVALID", "PHONE_CODE_EMPTY": return .wrong
            case "SESSION_PASSWORD_NEEDED": return .passwordNeeded
            default: throw LoginRefusal.explained(error)
            }
        }
    }
}
