package import ArgumentParser

/// Holds the arguments of commands that read envelopes, but not from a queue.
package struct LineInputOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("Input of envelopes: - or the path of a file or FIFO.", valueName: "path"))
    package var from: String = "-"

    @Option(
        help: ArgumentHelp(
            "Dead-letter output for malformed lines, with the reason. Default: only the log.", valueName: "path"))
    package var deadLetter: String?

    package init() {}

    /// Checks that the input is no queue.
    ///
    /// - Parameter command: the command that reads one.
    /// - Throws: `ValidationError`.
    package func refuseQueue(_ command: String) throws {
        guard from.hasPrefix("queue:") else { return }
        throw ValidationError("--from cannot name a queue: use \(command)")
    }

    /// The same arguments for a stage.
    package var options: InputOptions {
        get throws {
            var options = try InputOptions.parse([])
            options.from = from
            options.deadLetter = deadLetter
            return options
        }
    }
}
