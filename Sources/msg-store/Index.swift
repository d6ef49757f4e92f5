import ArgumentParser
import Archive
import Options
import Stage
import System

struct Index: StoreCommand {
    static let configuration = CommandConfiguration(
        commandName: "index",
        abstract: "Make indexes for searching, after the load.",
        discussion: """
            With --search, makes a full-text index of all texts, which the database then keeps: a GIN index in PostgreSQL, FTS5 \
            in SQLite. It slows a load down, so it is best made after the first one. 'export --search' uses it.

            Example: msg-store index --search && msg-store export --search 'free speech'
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var database: DatabaseOptions

    @Flag(help: "Make the full-text index.") var search = false

    func validate() throws {
        guard search else { throw ValidationError("name an index to make: --search") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let address = try database.address(runtime)
        try await BlockingThread.oncePassingErrors {
            try ArchiveReader(address, name: MsgStore.toolName).makeSearchIndex()
        }
        return .success
    }
}
