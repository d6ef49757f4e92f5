package import ArgumentParser
import Accounts
import JSON
import Options
import Stage
import System

/// The tool, as the program that holds all tools runs it.
package let command: any AsyncParsableCommand.Type = TgCall.self

struct TgCall: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-call",
        abstract: "Call any method of Telegram's API as an account.",
        discussion: """
            The parameters are a JSON object, as docs/tl.md describes them; the result is JSON on standard output. Wherever a peer \
            is wanted, me, @name, a t.me link or an id as the Bot API writes it will do. What Telegram refuses is JSON on standard \
            error, and the exit status is 75 when it wants a wait, 77 when the session is not valid (any more), else 1.

            Examples: tg-call --session alice users.getFullUser '{"id": "@durov"}'
                      tg-call messages.getHistory - < query.json | jq .messages
                      tg-call --list 'channels.*'
                      tg-call --describe messages.getHistory
                      tg-call --each --wait-flood 10m < calls.ndjson
            """,
        version: tgpipeVersion)

    @OptionGroup var common: CommonOptions
    @OptionGroup var account: AccountOptions
    @OptionGroup var calls: CallArguments
    @OptionGroup(title: "Looking things up, without a session") var lookup: LookupOptions

    func validate() throws {
        let ways = [calls.method != nil, calls.each, lookup.list != nil, lookup.describe != nil].filter { $0 }.count
        guard ways > 0 else { throw ValidationError("which method? tg-call --list PATTERN finds one") }
        guard ways == 1 else {
            throw ValidationError("a METHOD, --each, --list and --describe are four things to do")
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
        // Without a session, what is wrong with the call is said all the same.
        if let method = calls.method, account.name == nil {
            try MethodNames(account.connection.readSchema()).check(method)
        }
        let input = EventInput(endpoint: "-", maxLineBytes: CallInput.maxBytes, shutdown: runtime.shutdown)
        guard let method = calls.method else {
            return try await account.withAccount(runtime) { try await caller.callEach(of: input, as: $0) }
        }
        let parameters = try await caller.parameters(input)
        return try await account.withAccount(runtime) { try await caller.call(method, parameters, as: $0) }
    }
}

/// What is called, and how.
struct CallArguments: ParsableArguments, Sendable {
    @Argument(help: "The method: messages.getHistory.") var method: String?

    @Argument(help: "Its parameters, a JSON object; - reads it from standard input.") var json: String = "{}"

    @Flag(
        help: """
            Call what each line of standard input says, {"method": …, "params": {…}}, one after the other, and answer each with \
            a line, {"result": …} or {"error": …}; an "id" is repeated.
            """)
    var each = false

    @Flag(help: "Write results in many lines.") var pretty = false

    @Option(
        help: ArgumentHelp(
            "Keep to waits that Telegram wants, up to so long a call: 30, 90s, 10m.",
            valueName: "seconds"))
    var waitFlood: WaitLimit = WaitLimit(.zero)

    @Option(help: ArgumentHelp("How long a call may take, without such waits.", valueName: "duration"))
    var timeout: Span = Span(.seconds(60))

    func validate() throws {
        if each, pretty { throw ValidationError("--pretty does not go with --each, which answers a line a call") }
    }
}

/// A number of seconds, or a duration with its units.
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
