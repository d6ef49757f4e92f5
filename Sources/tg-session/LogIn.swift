import ArgumentParser
import Accounts
import Logging
import Options
import Stage
import System

/// `tg-session login NAME`
struct LogIn: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "login",
        abstract: "Log in, and keep the session under a name.",
        discussion: """
            Asks for the phone number, the code that Telegram sends and, where the account has one, the second factor's password; an \
            empty line instead of a code has another one sent. What is typed is not shown but for the number. Without a terminal, \
            the answers are lines of standard input, in this order. New numbers are registered in Telegram's own applications.

            Examples: tg-session login me
                      tg-session login me --qr
                      TG_BOT_TOKEN=… tg-session login shop --bot
                      tg-session login me --phone-file number --password-file secret   (asks for the code)
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var session: SessionArgument

    @Flag(help: "Log a bot in, by its token.")
    var bot = false

    @Flag(help: "Show a QR code, to be accepted in Telegram on another device (Settings, Devices).")
    var qr = false

    @Option(
        help: ArgumentHelp(
            "A file that holds the bot token. Default: TG_BOT_TOKEN from the environment.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("A file that holds the phone number.", valueName: "file"))
    var phoneFile: String?

    @Option(help: ArgumentHelp("A file that holds the code, which may come into being later.", valueName: "file"))
    var codeFile: String?

    @Option(help: ArgumentHelp("A file that holds the second factor's password.", valueName: "file"))
    var passwordFile: String?

    @Flag(help: "Put the session in the place of one that has the name.")
    var replace = false

    @Flag(help: "Log in at Telegram's test servers.")
    var test = false

    @OptionGroup(title: "Reaching Telegram") var connection: ConnectionOptions

    func validate() throws {
        guard !(bot && qr) else { throw ValidationError("--bot and --qr are two ways to log in") }
        if bot && (phoneFile ?? codeFile ?? passwordFile) != nil {
            throw ValidationError("a bot has no phone number, code or password")
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let place = try session.place(runtime)
        let settings = try connection.settings()
        let token = bot ? try Settings.secret("TG_BOT_TOKEN", file: tokenFile, what: "bot token") : nil
        let owner = try await runtime.shutdown.interrupting {
            try await Login.run(at: place, settings, isTest: test, replaces: replace) { login in
                if let token { return try await login.asBot(token: token) }
                let dialogue = LoginDialogue(
                    login: login, questions: Questions(runtime.shutdown), phoneFile: phoneFile, codeFile: codeFile,
                    passwordFile: passwordFile)
                return try await qr ? dialogue.byQR() : dialogue.byPhone()
            }
        }
        guard let owner else { throw CancellationError() }
        runtime.log.notice(
            "logged in\(owner.isBot ? " as a bot" : ""): the session '\(place.name)' is kept",
            metadata: ["user": "\(owner.userID)"])
        return .success
    }
}
