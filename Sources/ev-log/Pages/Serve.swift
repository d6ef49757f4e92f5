import ArgumentParser
import Glibc
import Logging
import Options
import Stage
import System

struct Serve: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Show the live pipeline and the latest requests as web pages, on this machine.",
        discussion: """
            The pages need no script and nothing from elsewhere. /metrics is for Prometheus, and /healthz tells whether Redis answers. \
            The address is one of this machine: every user of it can open the pages, so use unix:PATH on a shared machine.

            Examples: ev-log serve
                      ev-log serve --listen unix:/run/tgpipe/pages.sock
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var store: LogStoreOptions

    @Option(help: ArgumentHelp("A loopback address with a port, or unix:PATH.", valueName: "address"))
    var listen: PageAddress = .loopback(host: "127.0.0.1", port: 9464)

    @Option(
        help: ArgumentHelp(
            "A further name under which browsers reach the pages, such as that of a proxy. May be repeated.",
            valueName: "name"))
    var allowHost: [String] = []

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let reader = try await PipelineReader.open(runtime)
        let pages = Pages(LiveSource(reader), folder: try store.folder(runtime))
        let server = PageServer(pages: pages, address: listen, hosts: allowHost, log: runtime.log)
        try await runtime.shutdown.interrupting { try await server.run() }
        if case .unix(let path) = listen { unlink(path) }
        return .success
    }
}

/// Represents an address on this machine.
enum PageAddress: ExpressibleByArgument, Sendable, CustomStringConvertible {
    case loopback(host: String, port: Int)
    case unix(path: String)

    /// Reads `127.0.0.1:9464`, `localhost:9464`, `[::1]:9464` or `unix:/path`; nil for other text, and for addresses that other machines
    /// can reach.
    init?(argument: String) {
        if argument.hasPrefix("unix:") {
            let path = String(argument.dropFirst("unix:".count))
            guard path.hasPrefix("/"), path.utf8.count <= 107 else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = argument.lastIndex(of: ":"), let port = Int(argument[argument.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        switch argument[..<colon] {
        case "[::1]": self = .loopback(host: "::1", port: port)
        case "localhost": self = .loopback(host: "127.0.0.1", port: port)
        case let host where PageAddress.isLoopback(host): self = .loopback(host: String(host), port: port)
        default: return nil
        }
    }

    private static func isLoopback(_ host: Substring) -> Bool {
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return numbers.count == 4 && numbers[0] == 127 && !numbers.contains(nil)
    }

    var description: String {
        switch self {
        case .loopback(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    var defaultValueDescription: String { description }
}

/// Reads the state of the pipeline for all visitors, at most once a second.
actor LiveSource {
    private static let age = Duration.seconds(1)

    private let reader: PipelineReader
    private var kept: (state: PipelineState, at: ContinuousClock.Instant)?

    init(_ reader: PipelineReader) { self.reader = reader }

    func state() async throws -> PipelineState {
        if let kept, ContinuousClock.now - kept.at < LiveSource.age { return kept.state }
        let state = try await reader.read()
        kept = (state, .now)
        return state
    }
}
