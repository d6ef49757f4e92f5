import ArgumentParser
import Options
import Stage
import System

struct Graph: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Print the live pipeline for Graphviz: who writes to whom.",
        discussion: """
            Stages are neighbours if they share a pipe, a FIFO or a queue.

            Example: ev-log graph --dot | dot -Tsvg > pipeline.svg
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Flag(help: "Print the language of Graphviz. The only form, and therefore the default.") var dot = false

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let reader = try await PipelineReader.open(runtime)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        try await output.write(Array(PipelineGraph(try await reader.read()).dot.utf8))
        return .success
    }
}
