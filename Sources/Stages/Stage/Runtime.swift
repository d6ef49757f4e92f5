package import Envelope
import Glibc
import JSON
package import Logging
package import Options
package import Redis
import Synchronization
package import System
package import Tracing

/// Holds what the parts of one running tool share: its name, log, tracer, shutdown and connection to Redis.
package final class Runtime: Sendable {
    package let tool: String
    package let log: Logger
    package let tracer: Tracer
    /// This process's file in the folder of `TGPIPE_LOG_DIR`; nil without that variable.
    fileprivate let logFile: LogFile?
    package let shutdown: Shutdown
    package let outages: Outages
    /// Counts what the stage does.
    package let activity = StageActivity()
    let lastError = LastError()
    private let stateFlag: String?
    private let redisFlag: String?
    private let connection = Mutex<Redis?>(nil)
    let refusals = Mutex(RefusalLog())
    /// Is true if the settings of Redis have been checked for those that lose queues.
    let hasCheckedRedisSettings = Atomic(false)
    /// The events of a stage that works on several at once.
    let workList = Mutex<WorkList?>(nil)
    /// Ends a stage that waits for others when nobody reads its output any more.
    package let readerWatch: ReaderWatch
    /// The advice that follows the first refused line; see `advise`.
    let advice = Mutex<String?>(nil)
    private let console: GatedLogSink
    private let isLevelGiven: Bool

    /// - Parameter isForPeople: whether the log is for reading also where standard error is no terminal.
    init(tool: String, options: CommonOptions, isForPeople: Bool = false) throws {
        let wanted = options.quiet ? .error : options.verbose ? .debug : options.logLevel
        let (given, format) = try Settings.log(level: wanted, format: options.logFormat, isForPeople: isForPeople)
        let level = given ?? .info
        if options.quiet { StatusArea.standardError.hide() }
        let sink: any LogSink =
            switch format {
            case .human: TextLogSink()
            case .json: JSONLogSink()
            }
        self.tool = tool
        (console, isLevelGiven) = (GatedLogSink(sink), given != nil)
        let file = Settings.environment("TGPIPE_LOG_DIR").map { folder in
            let errors = Logger(label: tool) { _ in ToolLog(tool: tool, level: level, sinks: [sink]) }
            return LogFile(folder: absolutePath(folder), tool: tool) { errors.warning("\($0)") }
        }
        logFile = file
        tracer = Tracer(spans: file.map { SpanLog($0, tool: tool) })
        let own: [any LogSink] = [console, lastError]
        let sinks = file.map { own + [FileLogSink($0)] } ?? own
        log = Logger(label: tool) { _, provider in
            ToolLog(tool: tool, level: level, sinks: sinks, metadataProvider: provider)
        }
        shutdown = Shutdown()
        readerWatch = ReaderWatch(shutdown)
        outages = Outages(log: log, shutdown: shutdown)
        stateFlag = options.stateDir
        redisFlag = options.redis
    }

    /// Keeps success off standard error unless the user has chosen what to log: a command that does one thing is silent when all is
    /// well, or cron would send a mail about it. The file of `TGPIPE_LOG_DIR` still gets everything.
    func logsOnlyWhatMatters() {
        if !isLevelGiven { console.raise(to: .notice) }
    }

    /// Runs the work on one event within its correlation, counts it and measures it.
    ///
    /// - Parameter cause: the correlation of events that the work derives; by default that of the event.
    package func handling<Result>(
        _ event: Envelope, causedBy cause: Correlation? = nil, _ body: () throws -> Result
    ) rethrows -> Result {
        try tracer.handling(event, causedBy: cause, body)
    }

    /// Runs the asynchronous work on one event within its correlation, counts it and measures it.
    ///
    /// - Parameter cause: the correlation of events that the work derives; by default that of the event.
    package func handling<Result>(
        _ event: Envelope, causedBy cause: Correlation? = nil, isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await tracer.handling(event, causedBy: cause, body)
    }

    /// Returns the connection that the tool's parts share. The first call makes it, and starts a private server if none is configured.
    package func redis() async throws -> Redis {
        if let made = connection.withLock({ $0 }) { return made }
        let new = try await separateRedis()
        return connection.withLock { connection in
            let made = connection ?? new
            connection = made
            return made
        }
    }

    /// The longest pause between two calls to a Redis that does not answer: a server that has a replica is replaced within seconds.
    var longestPauseForRedis: Duration {
        connection.withLock { $0?.address.hasFailOver } == true ? .milliseconds(500) : .seconds(10)
    }

    /// Is true if a Redis can be reached without starting one: one is configured, or the private server is running.
    package var hasRedis: Bool {
        if redisFlag ?? Settings.environment("TGPIPE_REDIS") != nil { return true }
        return (try? stateFolder("redis")).map { access("\($0)/redis.sock", F_OK) == 0 } ?? false
    }

    /// The connection that the tool's parts share, if one of them has made it.
    var sharedRedis: Redis? { connection.withLock { $0 } }

    /// The address of a Redis that need not be started: the configured one, or that of a running private server.
    var addressWithoutStart: RedisAddress? {
        if let text = redisFlag ?? Settings.environment("TGPIPE_REDIS") { return try? RedisAddress(parsing: text) }
        guard let folder = try? stateFolder("redis"), access("\(folder)/redis.sock", F_OK) == 0 else { return nil }
        return try? RedisAddress(parsing: absolutePath("\(folder)/redis.sock"))
    }

    /// Opens a separate connection, for commands that block in Redis.
    package func separateRedis() async throws -> Redis {
        let address = redisFlag ?? Settings.environment("TGPIPE_REDIS")
        if let address {
            let parsed: RedisAddress
            do { parsed = try RedisAddress(parsing: address) } catch {
                throw ToolError(.configuration, "\(redisFlag == nil ? "TGPIPE_REDIS" : "--redis"): \(error.message)")
            }
            if redisFlag != nil, parsed.login != nil || parsed.sentinelLogin != nil {
                throw ToolError(
                    .configuration,
                    "a password in --redis is visible to every user of this machine: set TGPIPE_REDIS to the address instead"
                )
            }
        }
        return try await PrivateRedis.connection(
            environment: address,
            stateDirectory: Settings.stateDirectory(flag: stateFlag),
            clientName: tool)
    }

    /// Returns the path of a folder below the state folder.
    package func stateFolder(_ name: String) throws -> String {
        "\(try Settings.stateDirectory(flag: stateFlag))/\(name)"
    }

    /// Tells a user who has started a stage on a terminal that it waits for what is typed.
    package func noteTerminal(_ endpoint: String) {
        guard endpoint == "-", isatty(STDIN_FILENO) == 1 else { return }
        log.notice("reading events from standard input, a JSON object on each line: Ctrl-D ends the input")
    }

    /// Returns the path of a folder below the state folder, and makes the folder if it does not exist.
    package func directory(_ name: String) throws -> String {
        let path = try stateFolder(name)
        try makeDirectory(path, mode: 0o700)
        return path
    }

    /// The name of this machine, reduced to characters that fit keys in Redis and the names of waiters.
    package static let host: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "-" })
    }()
}

/// Makes the names of this process in Redis: `host:pid:random`, unique across machines and restarts.
enum ProcessName {
    static let own = unique()

    /// Returns a further name of the same form.
    static func unique() -> String {
        "\(Runtime.host):\(getpid()):\(String(UInt32.random(in: 0...(.max)), radix: 16))"
    }
}

/// Represents one tool, or one command of a tool that has several.
package protocol Tool: ToolCommand {
    /// Does the tool's work until its input ends or the shutdown is requested.
    ///
    /// - Throws: a `ReportableError` to end with its message and exit status.
    func run(_ runtime: Runtime) async throws -> ExitStatus

    /// Is true if the tool was called to do one thing and end. It is silent then if all goes well, and its errors are for people also
    /// where standard error is no terminal, as in the mails of cron.
    var isOneShot: Bool { get }
}

extension Tool {
    package var isOneShot: Bool { false }

    package func run() async throws {
        Linux.shareMemoryPools()
        do {
            let runtime = try Runtime(tool: Self.name, options: common, isForPeople: isOneShot)
            if isOneShot { runtime.logsOnlyWhatMatters() }
            StatusArea.standardError.share { try runtime.directory("terminals") }
            let heartbeats = try HeartbeatWriter.Plan.fromEnvironment().map { HeartbeatWriter(runtime, $0) }
            let status = await runtime.finish(drain: common.drain.duration, heartbeats) { try await self.run(runtime) }
            await heartbeats?.end()
            runtime.logFile?.close()
            Self.end(status)
        } catch let error as ToolError {
            // There is no log yet, because a mistake in its own configuration may be the failure.
            let line = "\(Self.name): error: \(KnownSecrets.removed(from: error.message).printable)\n"
            StatusArea.standardError.write(Array(line.utf8))
            Self.end(error.exitStatus.rawValue)
        }
    }

    /// Ends the process at once. `exit` would first take down libraries that other threads are still using.
    private static func end(_ status: Int32) -> Never {
        StatusArea.standardError.clear()
        fflush(nil)
        _exit(status)
    }
}

extension Runtime {
    /// Runs the tool's body and turns its ending into an exit status. It is the one place that prints a fatal error.
    fileprivate func finish(
        drain: Duration, _ heartbeats: HeartbeatWriter?, _ body: @escaping @Sendable () async throws -> ExitStatus
    ) async -> Int32 {
        await withTaskGroup(of: Ending.self) { group in
            group.addTask { .status(await self.outcome(body)) }
            group.addTask {
                await self.drainDeadline(drain)
                return .deadline
            }
            if let heartbeats {
                group.addTask {
                    await heartbeats.run()
                    return .background
                }
            }
            group.addTask {
                await IdleMemory.giveBackWhenIdle()
                return .background
            }
            while let ended = await group.next() {
                switch ended {
                case .status(let status):
                    group.cancelAll()
                    return status
                case .deadline: group.cancelAll()
                case .background: break
                }
            }
            return ExitStatus.bug.rawValue
        }
    }

    /// The task of a running tool that has ended.
    private enum Ending: Sendable {
        case status(Int32)
        case deadline
        case background
    }

    private func outcome(_ body: () async throws -> ExitStatus) async -> Int32 {
        defer {
            logCountedRefusals()
            logStatistics()
        }
        do {
            let status = try await body()
            try readerWatch.check()
            let hasRefused = refusals.withLock { !$0.isEmpty }
            return (status == .success && hasRefused ? .malformedInput : status).rawValue
        } catch let error as any ReportableError {
            // The end of the reader is often wanted (`| head -1`); what was lost with it shows in the exit status.
            log.log(level: (error as? ToolError)?.isEndOfReader == true ? .info : .critical, "\(error.message)")
            return error.exitStatus.rawValue
        } catch is CancellationError where readerWatch.hasEnded {
            return ExitStatus.localIO.rawValue
        } catch is CancellationError {
            return 128 + shutdown.endingSignal
        } catch {
            log.critical("unexpected failure: \(error)")
            return ExitStatus.bug.rawValue
        }
    }

    /// Waits for a signal and gives the work in flight `drain` to finish; then cancels it, and ends the process 5 seconds later.
    private func drainDeadline(_ drain: Duration) async {
        await shutdown.wait()
        ServiceManager.reportStopping()
        guard !Task.isCancelled, let rest = await noteWorkInFlight(drain), (try? await Task.sleep(for: rest)) != nil
        else { return }
        log.error("work in flight did not finish within \(drain.spanText): giving it up")
        let status = 128 + shutdown.endingSignal
        BlockingThread.start {
            sleep(5)
            _exit(status)
        }
    }

    /// Tells what the end of the tool waits for, unless it comes at once.
    ///
    /// - Returns: what is left of the time to drain; nil if the tool has ended meanwhile.
    private func noteWorkInFlight(_ drain: Duration) async -> Duration? {
        let pause = min(drain, .milliseconds(500))
        guard (try? await Task.sleep(for: pause)) != nil else { return nil }
        let count = workList.withLock { $0 }?.unfinishedCount ?? 0
        guard count > 0, shutdown.signal ?? 0 != 0 else { return drain - pause }
        let events = count == 1 ? "one event" : "\(count) events"
        log.notice("finishing \(events), for at most \(drain.spanText); a second signal ends the tool at once")
        return drain - pause
    }

    private func logStatistics() {
        for (type, figures) in tracer.statistics.all.sorted(by: { $0.key < $1.key }) {
            var metadata: Logger.Metadata = [
                "type": "\(type)", "total_ms": .stringConvertible(figures.total.milliseconds),
                "longest_ms": .stringConvertible(figures.longest.milliseconds),
            ]
            for (outcome, count) in figures.counts { metadata[outcome.rawValue] = .stringConvertible(count) }
            log.debug("handled events", metadata: metadata)
        }
    }
}

extension Settings {
    /// Returns the log's level and format: the flags, then `TGPIPE_LOG`, which is a level, a format, or both with a colon between them.
    ///
    /// - Returns: the level, nil if none is given.
    /// - Throws: `ToolError` (78) for any other word in the variable.
    static func log(
        level: Logger.Level?, format: LogFormat?, isForPeople: Bool
    ) throws -> (Logger.Level?, LogFormat) {
        var level = level
        var format = format
        for word in (environment("TGPIPE_LOG") ?? "").split(separator: ":").map(String.init) {
            if let known = Logger.Level(rawValue: word) {
                level = level ?? known
            } else if let known = LogFormat(rawValue: word) {
                format = format ?? known
            } else {
                throw ToolError(
                    .configuration,
                    "TGPIPE_LOG=\(word.printable): neither a level (\(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))) nor a format (human, json)"
                )
            }
        }
        return (level, format ?? (isForPeople || isatty(STDERR_FILENO) == 1 ? .human : .json))
    }
}
