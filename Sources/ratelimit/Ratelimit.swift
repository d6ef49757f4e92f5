package import ArgumentParser
import Envelope
import Options
import RateLimits
import Redis
import Stage
import System
import Texts

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = Ratelimit.self

struct Ratelimit: Tool {
    static let configuration = CommandConfiguration(
        commandName: "ratelimit",
        abstract: "Mark, drop or answer events over a rate limit.",
        discussion: """
            Counts matching events in Redis by user, by chat, or by any field. All processes and machines with the same Redis and \
            --name count together. Events that do not match, or are within the limit, are forwarded unchanged.

            Example: ratelimit -m 'commands.media.#' -n 5 -w 60s --on-limit reply

            A request for media that fails does not use up the limit: tg-send gives it back when it tells the user.
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Types of events to limit. May be repeated. Default: all.", valueName: "pattern"))
    var match: [TopicPattern] = []

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("The number of events that are allowed in the window.", valueName: "count"))
    var limit: Int

    @Option(
        name: [.short, .long], help: ArgumentHelp("The window: 500ms, 60s, 1h30m, 7d.", valueName: "duration"))
    var window: Span = Span(.seconds(60))

    @Option(
        help: ArgumentHelp(
            "The key by which events count together: user, chat, or the path of a field, such as payload.url.",
            valueName: "key"))
    var key: EventKey = .user

    @Option(
        help: ArgumentHelp(
            "The limit's name; stages with the same name count together. Default: made of patterns, key and window.",
            valueName: "name"))
    var name: String?

    @Option(
        help:
            "How events are counted: in a window from a key's first event (fixed), in every window (sliding), or with a bucket that refills evenly (token-bucket)."
    )
    var algorithm: RateLimit.Algorithm = .fixed

    @Option(help: ArgumentHelp("The size of the token bucket. Default: the limit.", valueName: "count"))
    var burst: Int?

    @Option(
        help:
            "The action for events over the limit: mark them in meta.rate_limited, drop them, or reply in the chat once a window."
    )
    var onLimit: LimitAction = .mark

    @Option(help: "Whether an event is checked, counted, or both.")
    var mode: RateMode = .checkAndCount

    @Option(
        help: ArgumentHelp(
            "Roles whose events are forwarded uncounted; none for no role. May be repeated. Default: admin.",
            valueName: "role")
    )
    var exemptRole: [String] = []

    @Flag(
        help:
            "Count requests for media that fail, too. Default: tg-send gives them back. [env: TGPIPE_COUNT_FAILURES=1]")
    var countFailures = false

    @Option(help: "Without Redis, forward events (open), or treat them as over the limit (closed).")
    var fail: FailureMode = .open

    func validate() throws {
        if burst != nil && algorithm != .tokenBucket {
            throw ValidationError("--burst is for --algorithm token-bucket")
        }
        do {
            _ = try rule()
        } catch {
            throw ValidationError(error.message)
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let redis = try await runtime.redis()
        let counter = OutageGuard(limiter: RateLimiter(redis, try rule()), log: runtime.log, failure: fail)
        try await counter.start(redis)
        let stage = LimitStage(
            log: runtime.log, counter: counter, key: key, mode: mode, action: onLimit,
            exemptRoles: exemptRole.isEmpty ? ["admin"] : Set(exemptRole),
            countsFailures: countFailures || Settings.environment("TGPIPE_COUNT_FAILURES") == "1",
            texts: try Texts.ofEnvironment())
        let patterns = match.isEmpty ? TopicPattern.everything : match
        let status = try await runtime.filter(
            input, output, reading: stage.headReader(),
            accepting: { type in patterns.contains { $0.matches(type) } },
            ask: { heads in try await stage.ask(heads) })
        stage.summarize()
        return status
    }

    private func rule() throws(RedisError) -> RateLimit {
        try RateLimit(
            name: name ?? defaultName, algorithm: algorithm, limit: limit, window: window.duration, burst: burst)
    }

    /// The default name. It includes the key, since a user and their private chat have the same id and must not share a counter.
    private var defaultName: String {
        let patterns = match.isEmpty ? "#" : match.map(\.description).joined(separator: "+")
        let name = "\(patterns)-\(key)-\(window)"
        return String(name.map { RateLimit.isAllowedInName($0) ? $0 : "_" })
    }
}
