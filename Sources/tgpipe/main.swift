import ArgumentParser
import Glibc
import Options
import System
import blob_put
import ev_log
import ev_queue
import ev_replay
import ev_route
import media_ask
import media_expand
import media_fetch
import media_split
import media_turns
import msg_store
import ratelimit
import tg_call
import tg_gate
import tg_history
import tg_listen
import tg_send
import tg_session
import tg_talk
import tg_watch
import tgpipe_doctor
import tgpipe_update_yt_dlp

/// Every tool by its name. `make build` and `make install` create a link to this program for each.
let commands: [String: any AsyncParsableCommand.Type] = [
    "blob-put": blob_put.command, "ev-log": ev_log.command, "ev-queue": ev_queue.command,
    "ev-replay": ev_replay.command,
    "ev-route": ev_route.command,
    "media-ask": media_ask.command, "media-expand": media_expand.command, "media-fetch": media_fetch.command,
    "media-split": media_split.command, "media-turns": media_turns.command, "msg-store": msg_store.command,
    "ratelimit": ratelimit.command,
    "tg-call": tg_call.command, "tg-gate": tg_gate.command, "tg-history": tg_history.command,
    "tg-listen": tg_listen.command, "tg-send": tg_send.command,
    "tg-session": tg_session.command, "tg-talk": tg_talk.command, "tg-watch": tg_watch.command,
    "tgpipe-doctor": tgpipe_doctor.command,
    "tgpipe-update-yt-dlp": tgpipe_update_yt_dlp.command,
]

/// Prints the usage and ends the program: on standard output with status 0 if the user requested it, otherwise on
/// standard error with status 64.
func showUsage(isRequested: Bool) -> Never {
    let width = (commands.keys.map(\.count).max() ?? 0) + 2
    let tools = commands.sorted { $0.key < $1.key }.map { name, command in
        name + String(repeating: " ", count: width - name.count) + command.configuration.abstract
    }
    let text = """
        USAGE: tgpipe <tool> [<arguments>]

        This program contains all tools. The name that it is called by selects the tool,
        or else its first argument:
          \(tools.joined(separator: "\n  "))

        `tgpipe <tool> --help` describes a tool. `tgpipe --tools` lists the names only.
        `tgpipe doctor` checks whether everything that the tools need is there.

        """
    _ = text.withCString { write(isRequested ? STDOUT_FILENO : STDERR_FILENO, $0, strlen($0)) }
    exit(isRequested ? 0 : 64)
}

/// Parses the arguments of a tool and runs it. An error ends the program with the message and status that it stands
/// for.
func run(_ command: (some AsyncParsableCommand).Type, _ arguments: [String]) async {
    // Knowing the options takes some milliseconds, which most calls need not spend.
    let arguments =
        arguments.contains { $0.hasPrefix("---") } ? CommandLineCheck(command).joiningDashes(arguments) : arguments
    refuseUnknownCommand(command, arguments)
    do {
        let names = arguments.filter { $0.hasPrefix("--") }.map { $0.prefix { $0 != "=" } }
        let hasShort = arguments.contains { $0.count == 2 && $0.hasPrefix("-") && $0.last?.isLetter == true }
        if Set(names).count < names.count || hasShort, let mistake = CommandLineCheck(command).mistake(in: arguments) {
            refuse(command, mistake)
        }
        var parsed = try await command.asyncParseAsRoot(arguments)
        ProgramStart.releasePages()
        if var tool = parsed as? any AsyncParsableCommand { try await tool.run() } else { try parsed.run() }
    } catch {
        // Help and versions are requested, and are no errors.
        let status = command.exitCode(for: error)
        if status == .success, command.fullMessage(for: error).hasPrefix("OVERVIEW:") {
            print(HelpText.ordered(command.fullMessage(for: error)))
            exit(0)
        }
        guard status == .validationFailure else { command.exit(withError: error) }
        if let mistake = CommandLineCheck(command).mistake(in: arguments) { refuse(command, mistake) }
        let message = command.message(for: error)
        let isOption = message.hasPrefix("Unknown option '-") && !message.hasPrefix("Unknown option '--")
        // The help of the subcommand has what is missing.
        let names = command.configuration.subcommands.compactMap { $0.configuration.commandName }
        refuse(
            command,
            message + (isOption ? " (an argument that begins with a minus sign goes behind --)" : "")
                + optionHelp(command.fullMessage(for: error)),
            arguments.first.map { names.contains($0) ? [$0] : [] } ?? [])
    }
}

/// Returns what the help tells of the option that an error is about, as a further line; empty if the error is not about one option.
func optionHelp(_ message: String) -> String {
    message.split(separator: "\n").first { $0.hasPrefix("Help:") }.map { line in
        let words = line.dropFirst("Help:".count).split(separator: " ")
        return "\n\(words.joined(separator: " "))"
    } ?? ""
}

/// Ends the program if the first argument is a word in the place of a command, and there is no such command.
func refuseUnknownCommand(_ command: (some AsyncParsableCommand).Type, _ arguments: [String]) {
    let configuration = command.configuration
    let names = configuration.subcommands.compactMap { $0.configuration.commandName }
    guard !names.isEmpty, configuration.defaultSubcommand == nil, let word = arguments.first, !word.hasPrefix("-"),
        !names.contains(word), word != "help"
    else { return }
    refuse(command, "there is no command '\(word.printable)'\(SimilarNames.hint(for: word, among: names))")
}

/// Ends the program with the message of a mistake in the arguments.
func refuse(_ command: (some AsyncParsableCommand).Type, _ mistake: CommandLineCheck.Mistake) -> Never {
    switch mistake {
    case .repeated(let name): refuse(command, "\(name) is given twice, and takes one value")
    case .unknownOption(let name, let path):
        let meant = CommandLineCheck(command).suggestions(for: name, path: path)
        let isLong = name.hasPrefix("--")
        let hint = isLong ? SimilarNames.hint(of: meant) : " (an argument that begins with a minus sign goes behind --)"
        refuse(command, "unknown option '\(name)'\(hint)", path)
    }
}

func refuse(_ command: (some AsyncParsableCommand).Type, _ message: String, _ path: [String] = []) -> Never {
    let name = command.configuration.commandName ?? "tgpipe"
    let lines = message.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: true)
    let first = lines.first.map { "\($0.prefix(1).lowercased())\($0.dropFirst())" } ?? "the arguments are wrong"
    // The parser adds the help of the option, or the possible values.
    let rest = lines.dropFirst().joined().split(separator: "\n").map { "  \(String($0).printable)\n" }.joined()
    let text = "\(name): error: \(first.printable)\n\(rest)See '\(([name] + path).joined(separator: " ")) --help'.\n"
    _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(ExitStatus.usage.rawValue)
}

/// The version, and in a release build the commit: `0.2.0 (commit 196b63f2c)`.
var versionText: String {
    let commit = ProgramStart.commit
    return commit.isEmpty ? tgpipeVersion : "\(tgpipeVersion) (commit \(commit))"
}

/// Prints an error of the arguments, and ends the program.
func refuse(_ error: ToolError) -> Never {
    let text = "tgpipe: error: \(error.message)\n"
    _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(error.exitStatus.rawValue)
}

ProgramStart.hideProcess()
// Without privileges, libdispatch cannot raise the priority of its threads, and would tell the system's log so for each thread.
setenv("LIBDISPATCH_LOG", "NO", 0)
var arguments: [String]
do { arguments = try textArguments(CommandLine.argc, CommandLine.unsafeArgv) } catch { refuse(error) }
let called = arguments.isEmpty ? "" : String(arguments.removeFirst().split(separator: "/").last ?? "")
if commands[called] != nil, arguments == ["--version"] {
    print(versionText)
} else if let command = commands[called] {
    await run(command, arguments)
} else if let name = arguments.first, let command = commands[name] ?? commands["tgpipe-\(name)"] {
    await run(command, Array(arguments.dropFirst()))
} else if arguments == ["--tools"] {
    for name in commands.keys.sorted() { print(name) }
    // The list is incomplete if the output is full or closed.
    guard fflush(nil) == 0 else { refuse(.localIO("unable to write to standard output")) }
} else if arguments == ["--version"] {
    print(versionText)
} else if let name = arguments.first, !name.hasPrefix("-"), name != "help" {
    let words = commands.keys + commands.keys.filter { $0.hasPrefix("tgpipe-") }.map { String($0.dropFirst(7)) }
    // The last word of a tool's name is often enough to know which one is meant.
    let meant = words.filter { $0.hasSuffix("-\(name)") }.sorted()
    let hint =
        meant.isEmpty ? SimilarNames.hint(for: name, among: words) : SimilarNames.hint(of: meant)
    refuse(
        ToolError(.usage, "there is no tool '\(name.printable)'\(hint.isEmpty ? "; 'tgpipe --help' lists all" : hint)"))
} else {
    showUsage(isRequested: ["--help", "-h", "help"].contains(arguments.first))
}
