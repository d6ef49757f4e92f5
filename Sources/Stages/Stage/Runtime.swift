import Glibc
import JSON
package import Logging
package import Options
package import Redis
import Synchronization
package import System

/// One running tool: its name, log, shutdown and connection to Redis, and how it ends.
package final class Runtime: Sendable {
    package let tool: String
    package let log: Logger
    package let shutdown: Shutdown
    private let stateFlag: String?
    private let redisFlag: String?
    private let connection = Mutex<Redis?>(nil)
    let refusals = Mutex(RefusalLog())
    /// Whether it has been said what of Redis's settings loses queues.
    let hasWarned = Atomic(false)
    /// The events of a stage that works on several at once.
    let workList = Mutex<WorkList?>(nil)

    init(tool: String, options: CommonOptions) throws {
        let (level, format) = try Settings.log(level: options.logLevel, format: options.logFormat)
        self.tool = tool
        log = Logger(label: tool) { _ in StandardErrorLog(tool: tool, level: level, format: format) }
        shutdown = Shutdown()
        stateFlag = options.stateDir
        redisFlag = options.redis
    }

    /// The connection that the tool's parts share; made, and a private server started, at the first call.
    package func redis() async throws -> Redis {
        if let made = connection.withLock({ $0 }) { return made }
        let new = try await separateRedis()
        return connection.withLock { connection in
            let made = connection ?? new
            connection = made
            return made
        }
    }

    /// Whether there is a Redis to speak to without starting one: one was configured, or the private server has been started.
    package var hasRedis: Bool {
        if redisFlag ?? Settings.environment("TGPIPE_REDIS") != nil { return true }
        return (try? stateFolder("redis")).map { access("\($0)/redis.sock", F_OK) == 0 } ?? false
    }

    /// The path of a folder below the state folder.
    package func stateFolder(_ name: String) throws -> String {
        "\(try Settings.stateDirectory(flag: stateFlag))/\(name)"
    }

    /// A connection of its own, for commands that wait in the server.
    func separateRedis() async throws -> Redis {
        try await PrivateRedis.connection(
            environment: redisFlag ?? Settings.environment("TGPIPE_REDIS"),
            stateDirectory: Settings.stateDirectory(flag: stateFlag),
            clientName: tool)
    }

    /// A folder below the state folder, made when it is not there.
    package func directory(_ name: String) throws -> String {
        let path = try stateFolder(name)
        try makeDirectory(path, mode: 0o700)
        return path
    }

    var endOfInputStatus: ExitStatus { refusals.withLock { $0.isEmpty } ? .success : .malformedInput }
}

/// Represents one tool, or one command of a tool that has several.
package protocol Tool: ToolCommand {
    /// Does the tool's work until its input ends or the shutdown is requested.
    ///
    /// - Throws: a `ReportableError` to end with its message and exit status.
    func run(_ runtime: Runtime) async throws -> ExitStatus
}

extension Tool {
    package func run() async throws {
        Linux.shareMemoryPools()
        do {
            let runtime = try Runtime(tool: Self.name, options: common)
            let status = await runtime.finish(drain: common.drain.duration) { try await self.run(runtime) }
            Glibc.exit(status)
        } catch let error as ToolError {
            // There is no log yet: its own configuration is what failed.
            let line = "\(Self.name): error: \(error.message)\n"
            _ = Glibc.write(STDERR_FILENO, line, line.utf8.count)
            Glibc.exit(error.exitStatus.rawValue)
        }
    }
}

extension Runtime {
    /// Runs the tool's body and turns how it ended into an exit status; the one place that prints a fatal error.
    fileprivate func finish(drain: Duration, _ body: @escaping @Sendable () async throws -> ExitStatus) async -> Int32 {
        await withTaskGroup(of: Int32?.self) { group in
            group.addTask { await self.outcome(body) }
            group.addTask { await self.drainDeadline(drain) }
            while let ended = await group.next() {
                if let status = ended {
                    group.cancelAll()
                    return status
                }
                group.cancelAll()
            }
            return ExitStatus.bug.rawValue
        }
    }

    private func outcome(_ body: () async throws -> ExitStatus) async -> Int32 {
        defer { tellRefusals() }
        do {
            let status = try await body()
            return (status == .success ? endOfInputStatus : status).rawValue
        } catch let error as any ReportableError {
            log.critical("\(error.message)")
            return error.exitStatus.rawValue
        } catch is CancellationError {
            return 128 + shutdown.endingSignal
        } catch {
            log.critical("unexpected failure: \(error)")
            return ExitStatus.bug.rawValue
        }
    }

    /// After a signal, what is in flight gets so long; then it is cancelled, and soon after the process ends whatever it does.
    private func drainDeadline(_ drain: Duration) async -> Int32? {
        await shutdown.wait()
        guard !Task.isCancelled, (try? await Task.sleep(for: drain)) != nil else { return nil }
        log.error("work in flight did not finish within \(drain.spanText): giving it up")
        let status = 128 + shutdown.endingSignal
        BlockingExit.after(seconds: 5, status: status)
        return nil
    }
}

extension RedisError: ReportableError {
    package var exitStatus: ExitStatus {
        switch code {
        case .authentication: .authenticationRefused
        case .protocolError: .protocolBroken
        case .loading, .outOfMemory: .tryAgain
        case .readOnly, .wrongType, .configuration: .configuration
        default: .unavailable
        }
    }
}
