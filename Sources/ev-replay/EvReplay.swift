package import ArgumentParser
import Stage
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = EvReplay.self

struct EvReplay: AsyncParsableCommand {
    static let toolName = "ev-replay"

    static let configuration = CommandConfiguration(
        commandName: toolName,
        abstract: "Record events, replay them at the pace at which they came, and compare recordings.",
        discussion: """
            A recording is a file of envelopes, one a line, so tee makes one, too. 'ev-replay record' also keeps the time at which \
            each event came, in FILE.times beside it. 'ev-replay FILE' is short for 'ev-replay play FILE'.

            Examples: tg-listen --bot | ev-replay record updates.ndjson | tg-gate
                      ev-replay --speed 10 updates.ndjson | tg-gate
                      ev-replay diff expected.ndjson results.ndjson
            """,
        version: tgpipeVersion,
        subcommands: [Play.self, Record.self, Diff.self], defaultSubcommand: Play.self)
}

/// Represents a command of ev-replay.
protocol ReplayCommand: Tool {}

extension ReplayCommand {
    static var name: String { EvReplay.toolName }
}
