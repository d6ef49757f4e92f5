package import ArgumentParser
import Envelope
import Options
import RateLimits
import Redis
import Stage
import System

/// The tool, as the program that holds all tools runs it.
package let command: any AsyncParsableCommand.Type = Ratelimit.self

struct Ratelimit: Tool {
    static let configuration = CommandConfiguration(
        commandName: "ratelimit",
        abstract: "Mark, drop or answer events that come too often.",
        discussion: """
            Counts matching events in Redis by who sent them, where, or by any field; all processes and machines with the same \
            Redis and --name count together. Everything that does not match, or is within the limit, passes unchanged.

            Example: ratelimit -m 'commands.media.#' -n 5 -w 60s --on-limit reply

            To count only what led to something, ask before and count behind:
              ratelimit --name media -n 5 --mode check --on-limit drop | media-fetch | blob-put \\
                | ratelimit --name media -n 5 --mode count -m 'events.dl.*.ready'
            """,
        version: tgpipeVersion)

    @OptionGroup var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Types of events to limit. May be repeated. Default: all.", valueName: "pattern"))
    var match: [TopicPattern] = []

    @Option(name: [.customShort("n"), .long], help: ArgumentHelp("How many events are allowed.", valueName: "count"))
    var limit: Int

    @Option(
        name: [.short, .long], help: ArgumentHelp("In how much time: 500ms, 60s, 1h30m, 7d.", valueName: "duration"))
    var window: Span = Span(.seconds(60))

    @Option(
        help: ArgumentHelp(
            "Whose events count together: user, chat, or the path of a field as payload.url.", valueName: "key"))
    var key: EventKey = .user

    @Option(
        help: ArgumentHelp(
            "The limit's name: stages with the same one count together. Default: made of patterns, key and window.",
            valueName: "name"))
    var name: String?

    @Option(
        help:
            "The window starts with a key's first event (fixed), is any such span of time (sliding), or a bucket that refills evenly (token-bucket)."
    )
    var algorithm: RateLimit.Algorithm = .fixed

    @Option(help: ArgumentHelp("The bucket's size. Default: the limit.", valueName: "count"))
    var burst: Int?

    @Option(
        help:
            "What becomes of an event over the limit: marked in meta.rate_limited, dropped, or answered in the chat once a window."
    )
    var onLimit: LimitAction = .mark

    @Option(help: "Whether an event is checked, counted, or both.")
    var mode: RateMode = .checkAndCount

    @Option(
        help: ArgumentHelp(
            "Whose events always pass, uncounted; none for nobody. May be repeated. Default: admin.", valueName: "role")
    )
    var exemptRole: [String] = []

    @Option(help: "Without Redis, events pass (open), or count as over the limit (closed).")
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
            exemptRoles: exemptRole.isEmpty ? ["admin"] : Set(exemptRole))
        let patterns = match.isEmpty ? TopicPattern.everything : match
        let status = try await runtime.filter(
            input, output, accepting: { type in patterns.contains { $0.matches(type) } }, decide: stage.decide)
        stage.summarize()
        return status
    }

    private func rule() throws(RedisError) -> RateLimit {
        try RateLimit(
            name: name ?? defaultName, algorithm: algorithm, limit: limit, window: window.duration, burst: burst)
    }

    /// Not of the pattern alone: a user and their private chat have the same id, and must not share a counter.
    private var defaultName: String {
        let patterns = match.isEmpty ? "#" : match.map(\.description).joined(separator: "+")
        let name = "\(patterns)-\(key)-\(window)"
        return String(name.map { RateLimit.isAllowedInName($0) ? $0 : "_" })
    }
}
