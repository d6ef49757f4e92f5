package import ArgumentParser
import Archive
import Options
import Stage
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = MsgStore.self

struct MsgStore: AsyncParsableCommand {
    static let toolName = "msg-store"

    static let configuration = CommandConfiguration(
        commandName: toolName,
        abstract: "Keep messages in a database, and prove that none is missing.",
        discussion: """
            The database is PostgreSQL (--db postgresql://…) or a file of SQLite. 'load' stores what tg-history and tg-listen \
            write, 'plan' asks for what is missing, and 'verify' fails while anything is.

            Examples: msg-store fetch @durov --session me
                      msg-store plan @durov @telegram | tg-history --session a --session b | msg-store load
                      tg-listen --session a | msg-store load
                      msg-store verify
                      msg-store export --chat @durov --format csv > durov.csv
            """,
        version: tgpipeVersion,
        subcommands: [
            Fetch.self, Load.self, Plan.self, Verify.self, Replay.self, Status.self, Export.self, Media.self,
            Index.self,
        ])
}

/// Represents a command of msg-store.
protocol StoreCommand: Tool {}

extension StoreCommand {
    static var name: String { MsgStore.toolName }
}

/// Selects the database.
struct DatabaseOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The database: postgresql://[user@][host][:port]/name, or the path of a SQLite file; with a password only in "
                + "the variable. Default: archive/archive.sqlite in the state folder. [env: TGPIPE_DB]",
            valueName: "address"))
    var db: String?

    /// Returns the database's address.
    ///
    /// - Parameter makesFolder: whether the state folder is made for the default file.
    /// - Throws: `ToolError` (78) for a password that other users could see.
    func address(_ runtime: Runtime, makesFolder: Bool = false) throws -> ArchiveAddress {
        if let db {
            let address = try ArchiveAddress(db)
            if address.hasPassword {
                throw ToolError(
                    .configuration,
                    "a password in --db is visible to every user of this machine: set TGPIPE_DB to the address instead")
            }
            return address
        }
        if let text = Settings.environment("TGPIPE_DB") {
            let address = try ArchiveAddress(text)
            if address.hasPassword { _ = Settings.takeSecret("TGPIPE_DB") }
            return address
        }
        let folder = makesFolder ? try runtime.directory("archive") : try runtime.stateFolder("archive")
        return .file("\(folder)/archive.sqlite")
    }
}

/// Writes lines to standard output in blocks, until the tool is to end.
final class BlockOutput {
    private let output: LineOutput
    private let shutdown: Shutdown
    private var block: [UInt8] = []
    private static let blockBytes = 64 << 10

    init(_ shutdown: Shutdown) throws { (output, self.shutdown) = (try LineOutput(endpoint: "-"), shutdown) }

    /// - Throws: `CancellationError` once the tool is to end; the failure of the output.
    func write(_ line: [UInt8]) throws {
        block += line
        guard block.count >= BlockOutput.blockBytes else { return }
        guard !shutdown.isRequested else { throw CancellationError() }
        try finish()
    }

    /// Writes what is left.
    func finish() throws {
        try block.withUnsafeBytes { try output.write($0) }
        block.removeAll(keepingCapacity: true)
    }
}
