import Foundation
import TestSupport
import Testing

/// Runs rotel, a collector of OpenTelemetry, which prints what it has understood.
final class Rotel: Sendable {
    let endpoint: String
    private let output: String
    private let server: SpawnedProgram

    init(_ folder: TemporaryFolder) async throws {
        let find = "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))"
        let program = try SpawnedProgram.output(of: ["\(PythonTools.binFolder())/python", "-c", find])
            .trimmingCharacters(in: .newlines)
        let ports = (try LoopbackListener.freePort(), try LoopbackListener.freePort())
        endpoint = "http://127.0.0.1:\(ports.0)"
        output = folder("rotel")
        let script = """
            exec "$0" start --exporter blackhole --otlp-http-endpoint 127.0.0.1:\(ports.0) \
            --otlp-grpc-endpoint 127.0.0.1:\(ports.1) --debug-log traces --debug-log logs --debug-log-verbosity detailed \
            > "$1" 2>&1
            """
        server = try SpawnedProgram(["sh", "-c", script, program, output])
        let url = endpoint
        let isThere = try await eventually {
            try SpawnedProgram(["curl", "-s", "-o", "/dev/null", "--max-time", "5", url]).wait() == 0
        }
        #expect(isThere)
    }

    deinit { stop() }

    func stop() {
        server.signal(SIGTERM)
        _ = server.wait()
    }

    var text: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }

    /// Returns the values behind a label, in order.
    func values(_ label: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == label, line.hasPrefix("    ")
            else { return nil }
            return parts[1].trimmingCharacters(in: .whitespaces)
        }
    }
}
