import JSON
import Process
import System
package import Envelope
import Glibc
import Synchronization

/// Runs a built tool with a separate environment.
///
/// The tool's envelopes are also written to the folder `TGPIPE_TEST_ENVELOPES`; `make test` checks them against the
/// schemas.
package final class ToolRun: Sendable {
    package struct Result: Sendable {
        package let status: Int32
        package let output: String
        package let errors: String

        package var lines: [String] { output.linesOfText }

        /// Parses standard output as envelopes.
        package func envelopes() throws -> [Envelope] { try lines.map { try Envelope(try JSON(parsing: $0)) } }
    }

    package struct TookTooLong: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    private let tool: String
    private let makesEnvelopes: Bool
    private let child: ChildProcess
    private let input: Mutex<Int32?>
    private let output = Collected()
    private let errors = Collected()
    private let given = Mutex<Set<String>>([])
    /// The folder for state and home; it is removed at the end.
    package let folder: TemporaryFolder

    /// Starts a tool, whose input is the lines of `send` until `closeInput`.
    ///
    /// - Parameters:
    ///   - environment: variables in addition to `PATH`, `HOME` and `TGPIPE_STATE`.
    ///   - folder: the folder for state; a new one by default.
    package init(
        _ tool: String, _ arguments: [String] = [], environment: [String: String] = [:], folder: TemporaryFolder? = nil
    ) throws {
        self.tool = tool
        // ev-queue and ev-replay print other programs' events, and figures; only ev-queue's dead letters are its own events.
        // tg-call prints Telegram's results, tg-session its status, ev-log lines of the log, msg-store reports and rows, and
        // tgpipe-doctor its checks: these are not envelopes.
        makesEnvelopes =
            switch tool {
            case "tg-call", "tg-session", "ev-log", "tgpipe-doctor": false
            case "ev-queue": arguments.contains("--dead")
            case "ev-replay": false
            case "msg-store":
                ["load", "plan"].contains(arguments.first)
                    || arguments.starts(with: ["media"]) && arguments.contains("--remove")
            default: true
            }
        // If a tool ends before its input, writing must not end the tests with SIGPIPE.
        Glibc.signal(SIGPIPE, SIG_IGN)
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        var variables = [
            "PATH": "\((try? PythonTools.binFolder()).map { "\($0):" } ?? "")/usr/local/bin:/usr/bin:/bin",
            "HOME": folder.path,
            "TGPIPE_STATE": folder("state"), "TGPIPE_LOG": "json:debug",
        ]
        variables.merge(environment) { $1 }
        let pipe = ChildProcess.Stream.pipe(isNonBlocking: false)
        child = try ChildProcess(
            Command(ToolRun.path(of: tool), arguments, environment: variables), input: pipe, output: pipe, errors: pipe)
        input = Mutex(child.takeInput())
        output.collect(from: child.takeOutput())
        errors.collect(from: child.takeErrors())
    }

    deinit {
        closeInput()
        if child.check() == nil {
            child.signal(SIGKILL)
            _ = child.wait(atMost: .seconds(5))
        }
    }

    /// Returns the path of a built tool, which lies beside the tests. An empty name gives the folder with a slash.
    package static func path(of tool: String) -> String { "\(folderOfTools)/\(tool)" }

    /// The folder of the built tools. The build creates only the program that contains all tools, so the links are
    /// created here.
    private static let folderOfTools: String = {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink("/proc/self/exe", $0, 4096) } ?? 0
        }
        let words = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).split(separator: "/").dropLast()
        let folder = "/\(words.joined(separator: "/"))"
        let tools = (try? SpawnedProgram.output(of: ["\(folder)/tgpipe", "--tools"])) ?? ""
        for tool in tools.linesOfText { symlink("tgpipe", "\(folder)/\(tool)") }
        return folder
    }()

    /// Runs a tool on the given input and waits for its end.
    package static func run(
        _ tool: String, _ arguments: [String] = [], input: String = "", environment: [String: String] = [:],
        folder: TemporaryFolder? = nil, deadline: Duration = .seconds(120)
    ) async throws -> Result {
        try await run(
            tool, arguments, bytes: Array(input.utf8), environment: environment, folder: folder, deadline: deadline)
    }

    package static func run(
        _ tool: String, _ arguments: [String] = [], bytes: [UInt8], environment: [String: String] = [:],
        folder: TemporaryFolder? = nil, deadline: Duration = .seconds(120)
    ) async throws -> Result {
        let run = try ToolRun(tool, arguments, environment: environment, folder: folder)
        BlockingThread.start {
            run.send(bytes)
            run.closeInput()
        }
        return try await run.result(deadline: deadline)
    }

    package func send(_ line: String) { send(Array("\(line)\n".utf8)) }

    /// Writes to the tool's input, and blocks while the tool does not read. Bytes after the tool's end are dropped.
    package func send(_ bytes: [UInt8]) {
        let lines = String(decoding: bytes, as: UTF8.self).linesOfText
        given.withLock { $0.formUnion(lines) }
        guard let descriptor = input.withLock({ $0 }) else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno != EINTR { return }
            rest = rest.dropFirst(max(0, count))
        }
    }

    package func closeInput() {
        input.withLock { descriptor in
            if let open = descriptor { close(open) }
            descriptor = nil
        }
    }

    package func signal(_ number: Int32) { child.signal(number) }

    package var processIdentifier: Int32 { child.processIdentifier }

    /// The lines on standard output so far.
    package var lines: [String] { output.text.linesOfText }

    package var log: String { errors.text }

    /// Waits until the lines on standard output satisfy a condition.
    package func waitForLines(_ isThere: @escaping @Sendable ([String]) -> Bool) async throws -> [String] {
        guard try await eventually({ isThere(self.lines) || (self.child.check() != nil && !isThere(self.lines)) }),
            isThere(lines)
        else {
            throw TookTooLong(description: "\(tool) did not write it; its log: \(errors.text.suffix(2000))")
        }
        return lines
    }

    /// Waits for the tool's end.
    ///
    /// - Throws: `TookTooLong`, after the tool was killed at the deadline.
    package func result(deadline: Duration = .seconds(120)) async throws -> Result {
        let end = ContinuousClock.now + deadline
        while child.check() == nil || !output.isComplete || !errors.isComplete {
            guard ContinuousClock.now < end else {
                child.signal(SIGKILL)
                throw TookTooLong(description: "\(tool) did not end; its log: \(errors.text.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        let status: Int32 =
            switch child.check() {
            case .exited(let status): status
            case .signalled(let number): 128 + number
            case nil: -1
            }
        record()
        return Result(status: status, output: output.text, errors: errors.text)
    }

    private static let counter = Atomic<Int>(0)

    /// Saves the envelopes that the tool created, without those that it forwarded.
    private func record() {
        guard makesEnvelopes, let directory = getenv("TGPIPE_TEST_ENVELOPES") else { return }
        let given = given.withLock { $0 }
        // A killed tool's last line may be torn.
        let made = output.text.withoutTornLine.linesOfText.filter { $0.hasPrefix("{") && !given.contains($0) }
        guard !made.isEmpty else { return }
        let number = ToolRun.counter.add(1, ordering: .relaxed).newValue
        let path = "\(String(cString: directory))/\(tool)-\(getpid())-\(number).ndjson"
        guard let file = fopen(path, "w") else { return }
        for line in made { fputs("\(line)\n", file) }
        fclose(file)
    }
}

/// Reads a pipe to its end on a thread, so that the tool never waits for the test.
private final class Collected: Sendable {
    private let state = Mutex<(bytes: [UInt8], isComplete: Bool)>(([], false))

    var text: String { state.withLock { String(decoding: $0.bytes, as: UTF8.self) } }
    var isComplete: Bool { state.withLock { $0.isComplete } }

    func collect(from descriptor: Int32) {
        BlockingThread.start { [self] in
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count > 0 { state.withLock { $0.bytes.append(contentsOf: buffer.prefix(count)) } }
                if count == 0 || (count < 0 && errno != EINTR) { break }
            }
            close(descriptor)
            state.withLock { $0.isComplete = true }
        }
    }
}

extension String {
    /// The complete lines without line feeds. Splitting by characters would fail: Swift treats CR LF as one character.
    fileprivate var linesOfText: [String] {
        utf8.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    fileprivate var withoutTornLine: String {
        guard let end = utf8.lastIndex(of: UInt8(ascii: "\n")) else { return "" }
        return String(self[...end])
    }
}
