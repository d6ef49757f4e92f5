import JSON
import MTProto

extension Login {
    /// What a step has come to.
    package enum Step: Sendable {
        case done(Owner)
        /// The code, or the password, is not the right one.
        case wrong
        case passwordNeeded
    }

    /// A code on its way to somebody.
    package struct SentCode: Sendable {
        /// How it goes there, in words.
        package let way: String
        let hash: JSON
        let phone: JSON
    }

    /// Has a code sent to the owner of a phone number.
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

    /// Has another code sent, in the next way.
    package func resendCode(_ code: SentCode) async throws -> SentCode {
        try sent(await ask("auth.resendCode", ["phone_number": code.phone, "phone_code_hash": code.hash]), code.phone)
    }

    private func sent(_ answer: JSON, _ phone: JSON) throws -> SentCode {
        guard answer["_"]?.string == "auth.sentCode", let hash = answer["phone_code_hash"] else {
            throw AccountError(
                .loginRefused, "Telegram wants a way to log in that is not known here: log in with --qr")
        }
        let way =
            switch answer["type"]?["_"]?.string {
            case "auth.sentCodeTypeApp": "in Telegram, on another device"
            case "auth.sentCodeTypeSms", "auth.sentCodeTypeSmsWord", "auth.sentCodeTypeSmsPhrase": "by SMS"
            case "auth.sentCodeTypeCall": "by a call"
            case "auth.sentCodeTypeFlashCall", "auth.sentCodeTypeMissedCall":
                "as the last digits of a number that calls"
            case "auth.sentCodeTypeEmailCode": "by e-mail"
            case "auth.sentCodeTypeFragmentSms": "at fragment.com"
            default: "in a way that is not known here"
            }
        return SentCode(way: way, hash: hash, phone: phone)
    }

    /// - Throws: `AccountError`, `loginRefused`, when no other code helps either.
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
