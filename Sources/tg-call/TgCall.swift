package import ArgumentParser
import Accounts
import Glibc
import JSON
import Options
import Stage
import System

/// The tool's command, which the program with all tools runs.
package let command: any AsyncParsableCommand.Type = TgCall.self

struct TgCall: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-call",
        abstract: "Call any method of Telegram's API as an account.",
        discussion: """
            The parameters are a JSON object, as docs/tl.md describes it; the result is JSON on standard output. In place of a peer \
            you can give me, @name, a t.me link or a Bot API id. When Telegram refuses a call, the error is JSON on standard error, \
            and the exit status is 75 if Telegram demands a wait, 77 if the session is not valid, otherwise 1.

            Examples: tg-call --session alice users.getFullUser '{"id": "@durov"}'
                      tg-call messages.getHistory - < query.json | jq .messages
                      tg-call messages.getHistory '{"peer": "@telegram"}' | jq -r '.messages[].message'
                      tg-call --dialogs
                      tg-call --list 'channels.*'
                      tg-call --describe messages.getHistory
                      tg-call --each --wait-flood 10m < calls.ndjson
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var account: AccountOptions
    @OptionGroup var calls: CallArguments
    @OptionGroup(title: "Looking up the schema, without a session") var lookup: LookupOptions

    func validate() throws {
        let ways = [calls.method != nil, calls.each, calls.dialogs, lookup.list != nil, lookup.describe != nil].filter {
            $0
        }.count
        guard ways > 0 else { throw ValidationError("no method is given; tg-call --list PATTERN finds one") }
        guard ways == 1 else {
            throw ValidationError("give only one of METHOD, --each, --dialogs, --list and --describe")
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        if lookup.isWanted {
            let found = try lookup.text(account.connection.readSchema())
            try await output.write(Array(found.utf8))
            return found.isEmpty ? .no : .success
        }
        let caller = Caller(runtime: runtime, output: output, arguments: calls)
        // A wrong method name is reported even when no session is given.
        if let method = calls.method, account.name == nil {
            try MethodNames(account.connection.readSchema()).check(method)
        }
        if calls.dialogs {
            let isForPeople = isatty(STDOUT_FILENO) == 1
            return try await account.withAccount(runtime) {
                try await caller.listDialogs(of: $0, isForPeople: isForPeople)
            }
        }
        let input = EventInput(endpoint: "-", maxLineBytes: CallInput.maxBytes, shutdown: runtime.shutdown)
        guard let method = calls.method else {
            return try await account.withAccount(runtime) { try await caller.callEach(of: input, as: $0) }
        }
        let parameters = try await caller.parameters(input)
        return try await account.withAccount(runtime) { try await caller.call(method, parameters, as: $0) }
    }
}

/// The arguments of calls.
struct CallArguments: ParsableArguments, Sendable {
    @Argument(help: "The method, for example messages.getHistory.") var method: String?

    @Argument(help: "The method's parameters, a JSON object; - reads it from standard input.") var json: String = "{}"

    @Flag(
        help: """
            Execute the call on each line of standard input, {"method": …, "params": {…}}, one after the other. Write one line \
            for each, {"result": …} or {"error": …}, with the "id" of the call if it has one.
            """)
    var each = false

    @Flag(
        name: [.customShort("d"), .long],
        help: """
            List the account's chats, the newest first, a JSON object on each line: id, type, title, username, unread and more. \
            On a terminal, lines for people.
            """)
    var dialogs = false

    @Flag(help: "Write results indented, on several lines.") var pretty = false

    @Option(
        help: ArgumentHelp(
            "Wait when Telegram demands it, up to this time per call: 30, 90s, 10m. Default: 0, no waiting.",
            valueName: "seconds"))
    var waitFlood: WaitLimit = WaitLimit(.zero)

    @Option(help: ArgumentHelp("The longest time for a call, without such waits.", valueName: "duration"))
    var timeout: Span = Span(.seconds(60))

    func validate() throws {
        if each || dialogs, pretty {
            throw ValidationError(
                "--pretty cannot be combined with --each and --dialogs, which write one JSON object a line")
        }
    }
}

/// A duration given as a number of seconds or with a unit.
struct WaitLimit: ExpressibleByArgument, Sendable, CustomStringConvertible {
    let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
        if let seconds = Int64(argument), (0...31_536_000).contains(seconds) {
            duration = .seconds(seconds)
        } else if let span = Span(argument: argument) {
            duration = span.duration
        } else {
            return nil
        }
    }

    var description: String { "\(duration.components.seconds)" }
}
