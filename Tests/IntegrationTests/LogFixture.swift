import Foundation
import JSON
import TestSupport
import Testing

/// A folder with the files of processes and a log store.
struct LogFixture {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    var logs: String { folder("logs") }
    var store: String { folder("store") }

    var environment: [String: String] {
        ["TGPIPE_LOG_DIR": logs, "TGPIPE_LOG_STORE": store, "TGPIPE_LOG": "json:info"]
    }
    /// The environment of ev-log, whose own lines would be counted too.
    var quiet: [String: String] { environment.merging(["TGPIPE_LOG_DIR": ""]) { $1 } }

    func log(_ arguments: String..., input: String = "") async throws -> ToolRun.Result {
        try await ToolRun.run("ev-log", arguments, input: input, environment: quiet, folder: folder)
    }

    /// Stores everything that is in the files of processes.
    func runOnce() async throws -> ToolRun.Result { try await log("run", "--once", "--log-dir", logs) }

    func files() -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: logs)) ?? []).filter { $0.hasSuffix(".ndjson") }
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(filePath: "\(logs)/\(name)"))
    }
}
