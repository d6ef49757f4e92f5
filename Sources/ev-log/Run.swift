import ArgumentParser
import JSON
import Logging
import LogStore
import Options
import Stage
import System

struct Run: LogCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Store the lines that all tools append to their files in TGPIPE_LOG_DIR, or that are in the journal.",
        discussion: """
            Follows the files of the folder and removes each when its process has ended and all of it is stored. It can be killed and \
            started again at any moment: each line is stored once. While it does not run, the lines wait in the files.

            With --from journal, it follows systemd's journal instead, and stores the log lines of all tools whose standard error goes \
            there, and with --unit the entries of other units. The journal has no spans.

            Examples: ev-log run
                      ev-log run --once
                      ev-log run --from journal --unit 'nginx'
                      ev-log run --max-size 500M --keep 7d
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var store: LogStoreOptions
    @OptionGroup var retention: RetentionOptions

    @Option(
        help: ArgumentHelp(
            "The folder to which the tools append. Default: logs in the state folder. [env: TGPIPE_LOG_DIR]",
            valueName: "folder"))
    var logDir: String?

    @Option(help: ArgumentHelp("Where the lines come from.", valueName: "source"))
    var from: LineOrigin = .files

    @Option(
        help: ArgumentHelp(
            "With --from journal: also store the entries of this unit. * and ? stand for any characters. May be repeated.",
            valueName: "unit"))
    var unit: [String] = []

    @Option(
        help: ArgumentHelp(
            "With --from journal: the file or folder of the journal, in place of this machine's.", valueName: "path"))
    var journal: String?

    @Flag(help: "End when everything that is there is stored.") var once = false

    func validate() throws {
        guard from == .journal || (unit.isEmpty && journal == nil) else {
            throw ValidationError("--unit and --journal belong to --from journal")
        }
        guard from == .files || logDir == nil else {
            throw ValidationError("--log-dir and --from journal exclude each other")
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let files = try logDir ?? Settings.environment("TGPIPE_LOG_DIR") ?? runtime.stateFolder("logs")
        let (from, selection, keep) = (from, JournalSelection(place: journal, units: unit), retention.keep.duration)
        let folder = try store.folder(runtime)
        let (once, limits) = (once, retention.limits)
        let ending = FollowingEnd()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await runtime.shutdown.wait()
                ending.request()
            }
            defer { group.cancelAll() }
            try await BlockingThread.oncePassingErrors {
                let lock = try folder.lock("run")
                defer { closeDescriptor(lock) }
                let writer = try LogWriter(folder, kind: "run", limits: limits)
                let intake: any LineIntake =
                    switch from {
                    case .files: FolderIntake(files, writer)
                    case .journal: JournalReader(writer, selection, runtime, keep: keep, once: once)
                    }
                try Follower(intake, writer, runtime.log).run(once: once, until: ending)
            }
            return .success
        }
    }
}

/// Selects where lines come from.
enum LineOrigin: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// The files of all tools in the folder.
    case files
    /// systemd's journal.
    case journal
}

/// Stores lines until it is told to end, and waits while the store's disk is full.
private struct Follower {
    let intake: any LineIntake
    let writer: LogWriter
    let log: Logger

    init(_ intake: any LineIntake, _ writer: LogWriter, _ log: Logger) {
        (self.intake, self.writer, self.log) = (intake, writer, log)
    }

    func run(once: Bool, until ending: FollowingEnd) throws {
        ServiceManager.reportReady()
        var failure: String?
        var nextTidying = ContinuousClock.now + .seconds(60)
        while !ending.isRequested {
            do {
                let hasRead = try intake.pass(finishing: once)
                if failure != nil { log.notice("the log is stored again") }
                failure = nil
                if once, !hasRead, try !intake.pass(finishing: true) { break }
                if !hasRead { pause(.milliseconds(50)) }
            } catch let error as any ReportableError where error.exitStatus == .localIO || error.exitStatus == .tryAgain
            {
                // The lines wait in their files.
                if failure != error.message { log.error("unable to store the log: \(error.message); trying again") }
                failure = error.message
                if once { throw error }
                pause(.seconds(1))
            }
            if nextTidying <= .now {
                // What fails here fails again at the next line, where it is reported.
                try? writer.tidy()
                nextTidying = .now + .seconds(60)
            }
        }
        _ = try intake.pass(finishing: true)
        try writer.close()
    }
}
