import Accounts
import System

/// Logs a user in, and asks for the number, the code and the password as they are needed.
struct LoginDialogue: Sendable {
    /// The most attempts at a code or a password, and the most codes that are requested.
    private static let maxAttempts = 3
    private static let maxCodes = 10

    let login: Login
    let questions: Questions
    let phoneFile: String?
    let codeFile: String?
    let passwordFile: String?

    func byPhone() async throws -> Login.Owner {
        let phone = try await answer(
            "phone number, with the country's code: ", "phone number", phoneFile, isShown: true)
        var code = try await login.sendCode(phone: phone)
        for attempt in 1... {
            await questions.showLine("the code is sent \(code.way)")
            let digits = try await answer("code (empty for another one): ", "code", codeFile)
            guard !digits.isEmpty else {
                guard attempt < LoginDialogue.maxCodes else { break }
                code = try await login.resendCode(code)
                continue
            }
            switch try await login.signIn(code, with: digits) {
            case .done(let owner): return owner
            case .passwordNeeded: return try await byPassword()
            case .wrong:
                guard attempt < LoginDialogue.maxAttempts, codeFile == nil else { break }
                await questions.showLine("the code is wrong")
                continue
            }
            break
        }
        throw AccountError(.loginRefused, "the code is wrong")
    }

    func byQR() async throws -> Login.Owner {
        let questions = questions
        let step = try await login.byQR { link in
            guard let code = QRCode(link) else { return }
            questions.show("\(code.text)Telegram on another device: Settings, Devices, Link Desktop Device.\n")
        }
        switch step {
        case .done(let owner): return owner
        case .passwordNeeded, .wrong: return try await byPassword()
        }
    }

    private func byPassword() async throws -> Login.Owner {
        let hint = try await login.passwordHint().map { " (hint: \($0.printable(atMost: 64)))" } ?? ""
        for _ in 0..<LoginDialogue.maxAttempts {
            let password = try await answer("two-factor password\(hint): ", "password", passwordFile)
            if case .done(let owner) = try await login.checkPassword(password) { return owner }
            if passwordFile != nil { break }
            await questions.showLine("the password is wrong")
        }
        throw AccountError(.loginRefused, "the password is wrong")
    }

    private func answer(
        _ question: String, _ what: String, _ file: String?, isShown: Bool = false
    ) async throws -> String {
        if let file { return try await questions.contents(of: file, what) }
        return try await questions.ask(question, what, isShown: isShown)
    }
}
