import Accounts
import ArgumentParser
import Logging
import Options
import System
import Stage

/// `tg-session import NAME`
struct Import: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Import a session of Telethon, Pyrogram, Hydrogram or Kurigram.",
        discussion: """
            The session comes from a session file, which is not changed, or from a session string. Stop every other program that \
            uses it: Telegram ends a session that is used twice at the same time.

            Examples: tg-session import me --telethon ~/old/me.session
                      tg-session import me --string-file secret
                      pass telegram/session | tg-session import me --string-file -
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var session: SessionArgument

    @Option(help: ArgumentHelp("Read a Telethon session file.", valueName: "file"))
    var telethon: String?

    @Option(help: ArgumentHelp("Read a session file of Pyrogram, Hydrogram or Kurigram.", valueName: "file"))
    var pyrogram: String?

    @Option(
        help: ArgumentHelp(
            "Read a session string of any of these from a file, or from standard input if -.", valueName: "file"))
    var stringFile: String?

    func validate() throws {
        guard [telethon, pyrogram, stringFile].filter({ $0 != nil }).count == 1 else {
            throw ValidationError("give one of --telethon, --pyrogram and --string-file")
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let place = try session.place(runtime)
        let taken = try await taken(Questions(stop: runtime.shutdown.descriptor))
        try place.store.save(taken, as: place.name, isNew: true)
        runtime.log.notice(
            "imported: the session '\(place.name)' is stored", metadata: ["dc": .stringConvertible(taken.dataCenter)])
        return .success
    }

    private func taken(_ questions: Questions) async throws -> AccountSession {
        if stringFile == "-" {
            return try AccountSession(string: try await asked(questions))
        }
        let (path, stringFile) = (telethon ?? pyrogram, stringFile)
        return try await BlockingThread().run {
            if let path { return try AccountSession(database: path) }
            return try AccountSession(string: try Settings.secret("", file: stringFile, what: "session string"))
        }
    }

    private func asked(_ questions: Questions) async throws -> String {
        do {
            return try await questions.ask("session string: ", "session string", isShown: false)
        } catch let error as AccountError where error.code == .loginRefused {
            throw AccountError(.notImportable, error.message)
        }
    }
}
