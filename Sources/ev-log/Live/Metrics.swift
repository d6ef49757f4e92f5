import ArgumentParser
import Options
import Stage
import System

struct Metrics: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Print the figures of stages and queues for Prometheus.",
        discussion: """
            Prints the text format once, for example for the textfile collector of node_exporter. 'serve' has the same under /metrics.

            Example: ev-log metrics > /var/lib/prometheus/node-exporter/tgpipe.prom
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let reader = try await PipelineReader.open(runtime)
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        try await output.write(Array(PrometheusText(try await reader.read()).text.utf8))
        return .success
    }
}
