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
        abstract: "Log in, and store the session under a name.",
        discussion: """
            Asks for the phone number, for the code that Telegram sends and, if the account has one, for the two-factor password. An \
            empty line in place of the code requests another code. Only the phone number is shown while you type. Without a terminal, \
            the answers are lines of standard input, in this order. New numbers must be registered in Telegram's own applications.

            Examples: tg-session login me
                      tg-session login me --qr
                      TG_BOT_TOKEN=… tg-session login shop --bot
                      tg-session login me --phone-file number --password-file secret   (asks for the code)
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var session: SessionArgument

    @Flag(help: "Log in a bot with its token.")
    var bot = false

    @Flag(help: "Show a QR code, and accept it in Telegram on another device (Settings, Devices).")
    var qr = false

    @Option(
        help: ArgumentHelp(
            "Read the bot token from a file. Default: TG_BOT_TOKEN from the environment.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("Read the phone number from a file.", valueName: "file"))
    var phoneFile: String?

    @Option(
        help: ArgumentHelp(
            "Read the code from a file; wait up to 10 minutes for the file to appear.", valueName: "file"))
    var codeFile: String?

    @Option(help: ArgumentHelp("Read the two-factor password from a file.", valueName: "file"))
    var passwordFile: String?

    @Flag(help: "Replace an existing session of the same name.")
    var replace = false

    @Flag(help: "Use Telegram's test servers.")
    var test = false

    @OptionGroup(title: "Reaching Telegram") var connection: ConnectionOptions

    func validate() throws {
        guard !(bot && qr) else { throw ValidationError("give only one of --bot and --qr") }
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
                    login: login, questions: Questions(stop: runtime.shutdown.descriptor), phoneFile: phoneFile,
                    codeFile: codeFile,
                    passwordFile: passwordFile)
                return try await qr ? dialogue.byQR() : dialogue.byPhone()
            }
        }
        guard let owner else { throw CancellationError() }
        runtime.log.notice(
            "logged in\(owner.isBot ? " as a bot" : ""): the session '\(place.name)' is stored",
            metadata: ["user": .stringConvertible(owner.userID)])
        return .success
    }
}
