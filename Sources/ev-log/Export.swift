import ArgumentParser
import JSON
import Logging
import LogStore
import Options
import OTLP
import Stage
import System

struct Export: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Send spans, and log lines if asked for, to a collector of OpenTelemetry.",
        discussion: """
            Speaks OTLP over HTTP to the collector that the standard variables name (OTEL_EXPORTER_OTLP_ENDPOINT, \
            OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_PROTOCOL, …), and continues where it ended. While the collector is away, \
            nothing is lost that the store still has.

            Examples: ev-log export
                      OTEL_EXPORTER_OTLP_ENDPOINT=https://otel.example.org ev-log export --logs
                      ev-log export --once
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var store: LogStoreOptions

    @Flag(help: "Send log lines, too.") var logs = false

    @Flag(help: "End when everything that is there is sent; with status 69 if the collector is away.") var once = false

    /// The number of attempts of a call with --once.
    private static let attempts = 5

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let folder = try store.folder(runtime)
        var exports: [SignalExport] = []
        let lock = try folder.lock("export")
        defer { closeDescriptor(lock) }
        for signal in logs ? OTLPSignal.allCases : [.traces] {
            guard let settings = try OTLPSettings(signal, environment: Settings.environment) else { continue }
            for warning in settings.warnings { runtime.log.warning("\(warning)") }
            exports.append(try SignalExport(signal, settings, folder, runtime, attempts: once ? Export.attempts : nil))
        }
        guard !exports.isEmpty else {
            runtime.log.notice("OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER turns the export off")
            return .success
        }
        ServiceManager.reportReady()
        while !runtime.shutdown.isRequested {
            var hasSent = false
            for export in exports where try await export.sendBatch() { hasSent = true }
            if once, !hasSent { break }
            if !hasSent {
                _ = try await runtime.shutdown.interrupting { try await Task.sleep(for: .seconds(1)) }
            }
        }
        for export in exports { export.logTotals() }
        return .success
    }
}

/// Exports the spans or the log lines of a store, a batch at a time. Only one task may use it.
final class SignalExport {
    private static let batch = 512

    private let signal: OTLPSignal
    private let runtime: Runtime
    private let client: OTLPClient
    private let request: OTLPRequest
    private let position: ExportPosition
    private var parents: SpanParents
    private let attempts: Int?
    private var sent = 0
    private var rejected: Int64 = 0

    init(
        _ signal: OTLPSignal, _ settings: OTLPSettings, _ folder: StoreFolder, _ runtime: Runtime, attempts: Int?
    ) throws {
        (self.signal, self.runtime, self.attempts) = (signal, runtime, attempts)
        client = OTLPClient(settings, userAgent: "tgpipe-ev-log/\(tgpipeVersion)")
        request = OTLPRequest(settings, host: Runtime.host, version: tgpipeVersion)
        position = try ExportPosition(folder, name: signal.rawValue)
        parents = SpanParents(folder)
    }

    /// Sends what comes next, and again until the collector has decided about it.
    ///
    /// - Returns: false if there was nothing.
    func sendBatch() async throws -> Bool {
        let lines = try position.next(SignalExport.batch, spans: signal == .traces)
        guard position.hasPending else { return false }
        let (message, count) = request.message(signal, signal == .traces ? try parents.completed(lines) : lines)
        if count > 0 {
            guard try await send(message, count) else { return false }
        }
        try position.advance()
        return true
    }

    /// - Returns: false if the shutdown was requested first.
    private func send(_ message: OTLPMessage, _ count: Int) async throws -> Bool {
        var backoff = Backoff(first: .seconds(1), longest: .seconds(30), jitter: .half)
        var failures = 0
        while !runtime.shutdown.isRequested {
            guard let verdict = try await runtime.shutdown.interrupting({ [client] in try await client.send(message) })
            else { return false }
            switch verdict {
            case .accepted: sent += count
            case .partly(let number, let reason):
                sent += count
                rejected += number
                runtime.log.warning(
                    "the collector rejects some \(signal.rawValue): \(reason)",
                    metadata: ["rejected": .stringConvertible(number)])
            case .refused(let reason):
                rejected += Int64(count)
                runtime.log.error(
                    "the collector refuses \(signal.rawValue), which are not sent again: \(reason)",
                    metadata: ["rejected": .stringConvertible(count)])
            case .later(let reason, let after):
                failures += 1
                if let attempts, failures >= attempts {
                    throw ToolError(.unavailable, "unable to send the \(signal.rawValue): \(reason)")
                }
                let pause = max(backoff.next(), after ?? .zero)
                runtime.log.log(
                    level: failures == 1 ? .warning : .debug, "\(reason); trying again in \(pause.spanText)")
                _ = try await runtime.shutdown.interrupting { try await Task.sleep(for: pause) }
                continue
            }
            if failures > 1 { runtime.log.notice("the collector takes \(signal.rawValue) again") }
            return true
        }
        return false
    }

    func logTotals() {
        runtime.log.info(
            "exported \(signal.rawValue)",
            metadata: ["sent": .stringConvertible(sent), "rejected": .stringConvertible(rejected)])
    }
}
