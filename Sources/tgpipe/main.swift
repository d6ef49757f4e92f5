import ArgumentParser
import Glibc
import blob_put
import ev_queue
import ev_route
import media_fetch
import ratelimit
import tg_call
import tg_gate
import tg_listen
import tg_send
import tg_session

/// Every tool by its name. `make build` and `make install` make a link to this program for each.
let commands: [String: any AsyncParsableCommand.Type] = [
    "blob-put": blob_put.command, "ev-queue": ev_queue.command, "ev-route": ev_route.command,
    "media-fetch": media_fetch.command, "ratelimit": ratelimit.command, "tg-call": tg_call.command,
    "tg-gate": tg_gate.command, "tg-listen": tg_listen.command, "tg-send": tg_send.command,
    "tg-session": tg_session.command,
]

/// Ends the program with its usage: on standard output when it was asked for, else on standard error with status 64.
func showUsage(asked: Bool) -> Never {
    let text = """
        USAGE: tgpipe <tool> [<arguments>]

        One program holds all tools. It runs the tool by whose name it is called, or that its first argument names:
          \(commands.keys.sorted().joined(separator: "\n  "))

        `tgpipe <tool> --help` describes a tool.

        """
    _ = text.withCString { write(asked ? STDOUT_FILENO : STDERR_FILENO, $0, strlen($0)) }
    exit(asked ? 0 : 64)
}

func run(_ command: (some AsyncParsableCommand).Type, _ arguments: [String]) async { await command.main(arguments) }

var arguments = CommandLine.arguments
let called = arguments.isEmpty ? "" : String(arguments.removeFirst().split(separator: "/").last ?? "")
if let command = commands[called] {
    await run(command, arguments)
} else if let name = arguments.first, let command = commands[name] {
    await run(command, Array(arguments.dropFirst()))
} else if arguments == ["--tools"] {
    for name in commands.keys.sorted() { print(name) }
} else {
    showUsage(asked: ["--help", "-h", "help"].contains(arguments.first))
}
