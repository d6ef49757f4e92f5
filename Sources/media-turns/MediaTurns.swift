package import ArgumentParser
import Envelope
import Options
import Payloads
import Stage
import System
import Turns

/// The command that `tgpipe` runs when it is called as media-turns.
package let command: any AsyncParsableCommand.Type = MediaTurns.self

struct MediaTurns: Tool {
    static let configuration = CommandConfiguration(
        commandName: "media-turns",
        abstract: "Let the requests for media of all users take turns, and limit what each gets a day.",
        discussion: """
            Holds commands.media.video_download, audio_download and image_download until it is their turn, so that a user with many requests delays \
            nobody else. Each user has --per-user turns at once, over all workers; free turns go to the user with the fewest. \
            media-fetch tells how many places it has, and when a request is done. A request that waits publishes its place and an \
            estimate as events.media.progress. Users who have used up what --requests-per-day, --bytes-per-day or --time-per-day allow \
            are refused; admins are not. Other events are forwarded unchanged.

            tg-talk shows the requests (/queue) and what a user has had today (/usage).

            Example: ratelimit … | media-turns --per-user 2 --bytes-per-day 20G | media-fetch
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Turns and quotas") var turns: TurnOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await runtime.requireRedis()
        let (book, usage) = (TurnBook(runtime), Usage(runtime))
        try await book.set(perUser: turns.perUser, ahead: turns.ahead)
        try await usage.publish(turns.limits)
        let stage = TurnStage(
            runtime: runtime, book: book, usage: usage, cancellations: CancellationNotes(runtime),
            limits: turns.limits, mostWaiting: turns.maxWaiting, interval: turns.report.duration)
        if !input.isFromQueue { try await stage.forgetLost() }
        return try await runtime.work(
            input, output, concurrency: TurnOptions.handledAtOnce, accepting: MediaDownload.types.contains,
            givingUp: { event, _ in [event] }, handle: stage.handle)
    }
}

struct TurnOptions: ParsableArguments, Sendable {
    /// The number of events handled at once: they enter the book in the order in which they came. Those that wait for their turn do
    /// not count.
    static let handledAtOnce = 1

    @Option(help: ArgumentHelp("The number of requests of one user that are worked on at once.", valueName: "n"))
    var perUser: Int = 2

    @Option(
        help: ArgumentHelp(
            "The number of requests that are passed on beyond the places of the workers, so that none waits for an event on its way, and media that the store has are sent at once.",
            valueName: "n"))
    var ahead: Int = 4

    @Option(help: ArgumentHelp("The number of requests of one user that may wait; more are refused.", valueName: "n"))
    var maxWaiting: Int = 100

    @Option(
        help: ArgumentHelp(
            "The time between two reports of a user's next request; its later ones are reported less often.",
            valueName: "duration"))
    var report: Span = Span(.seconds(15))

    @Option(help: ArgumentHelp("The number of requests of one user in a day.", valueName: "n"))
    var requestsPerDay: Int64?

    @Option(help: ArgumentHelp("The size of what is fetched for one user in a day.", valueName: "size"))
    var bytesPerDay: ByteSize?

    @Option(help: ArgumentHelp("The time for which fetches for one user run in a day.", valueName: "duration"))
    var timePerDay: Span?

    var limits: Usage.Limits {
        Usage.Limits(requests: requestsPerDay, bytes: bytesPerDay?.bytes, time: timePerDay?.duration)
    }

    func validate() throws {
        guard (1...1000).contains(perUser) else { throw ValidationError("--per-user must be from 1 to 1000") }
        guard (0...1000).contains(ahead) else { throw ValidationError("--ahead must be from 0 to 1000") }
        guard (1...10_000).contains(maxWaiting) else { throw ValidationError("--max-waiting must be from 1 to 10000") }
        guard (.seconds(1)...(.seconds(3600))).contains(report.duration) else {
            throw ValidationError("--report must be from 1s to 1h")
        }
        guard requestsPerDay ?? 1 > 0, bytesPerDay?.bytes ?? 1 > 0, timePerDay?.duration ?? .seconds(1) > .zero else {
            throw ValidationError("a limit for a day must be more than 0")
        }
    }
}
