package import ArgumentParser
import Glibc
import JSON
import Options
import Stage
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = TgpipeDoctor.self

struct TgpipeDoctor: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tgpipe-doctor",
        abstract: "Check whether everything that the tools need is there and works.",
        discussion: """
            Checks the settings, the state folder, the clock, Redis, the queues, the store, the bot or account, yt-dlp, ffmpeg and the jail, \
            and says what to do about each fault. Nothing is changed, but for a small object that is stored and removed again. \
            The exit status is 1 if something is wrong that stops the bot, otherwise 0. `tgpipe doctor` is the same.

            Examples: set -a; . ./tgpipe.env; set +a; tgpipe doctor
                      tgpipe doctor redis store
                      tgpipe doctor --json | jq -r 'select(.level != "ok").text'
            """,
        version: tgpipeVersion)

    @Argument(
        help: ArgumentHelp(
            "The checks to make: \(CheckName.allCases.map(\.rawValue).joined(separator: ", ")). Default: all.",
            valueName: "check"))
    var checks: [CheckName] = []

    @Flag(help: "Write each finding as a JSON object on a line of its own.") var json = false

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var speaker: SpeakerOptions
    @OptionGroup(title: "Store") var storing: StoreOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let wanted = checks.isEmpty ? CheckName.allCases : checks
        var (errors, warnings) = (0, 0)
        var hasReader = true
        func write(_ line: String) throws(ToolError) {
            guard hasReader else { return }
            let failure = Array("\(line)\n".utf8).withUnsafeBytes { writeAll(STDOUT_FILENO, $0) }
            // A pager, or `head`, has seen enough. The exit status still tells the result.
            hasReader = failure != EPIPE
            guard failure == 0 || !hasReader else {
                throw ToolError.localIO("unable to write to standard output", errno: failure)
            }
        }
        for name in wanted {
            let made: [Finding]? = try await runtime.shutdown.interrupting { await check(name, runtime) }
            guard let findings = made else { throw CancellationError() }
            for finding in findings {
                errors += finding.level == .error ? 1 : 0
                warnings += finding.level == .warning ? 1 : 0
                try write(json ? JSON.object(finding.json).text : finding.text)
            }
        }
        if !json {
            let sum =
                errors == 0
                ? "nothing stops the bot"
                : errors == 1 ? "one finding stops the bot" : "\(errors) findings stop the bot"
            try write("\(sum)\(warnings > 0 ? "; warnings: \(warnings)" : "")")
        }
        return errors == 0 ? .success : .no
    }

    private func check(_ name: CheckName, _ runtime: Runtime) async -> [Finding] {
        switch name {
        case .settings: return SettingsCheck(speaker: speaker).findings
        case .state: return StateCheck(folder: try? Settings.stateDirectory(flag: common.stateDir)).findings
        case .clock: return await ClockCheck(speaker: speaker).findings()
        case .redis: return await RedisCheck(runtime: runtime).findings()
        case .queues: return await QueueCheck(runtime: runtime).findings()
        case .store: return await StoreCheck(storing: storing, common: common, runtime: runtime).findings()
        case .telegram: return await TelegramCheck(speaker: speaker, runtime: runtime).findings()
        case .programs: return await ProgramCheck(ytDlpFolder: try? runtime.stateFolder("yt-dlp")).findings()
        case .jail: return JailCheck().findings
        }
    }
}

/// The checks by the names that users give.
enum CheckName: String, CaseIterable, ExpressibleByArgument {
    case settings, state, clock, redis, queues, store, telegram, programs, jail
}

/// Holds the result of a check of one thing.
struct Finding: Equatable {
    enum Level: String {
        case ok
        /// The bot works, but not as well as it could, or not for long.
        case warning
        /// The bot does not work.
        case error
    }

    let check: CheckName
    let level: Level
    let message: String
    /// The mend that the user can make; nil for what is in order.
    let advice: String?

    static func ok(_ check: CheckName, _ message: String) -> Finding {
        Finding(check: check, level: .ok, message: message, advice: nil)
    }

    static func warning(_ check: CheckName, _ message: String, _ advice: String) -> Finding {
        Finding(check: check, level: .warning, message: message, advice: advice)
    }

    static func error(_ check: CheckName, _ message: String, _ advice: String) -> Finding {
        Finding(check: check, level: .error, message: message, advice: advice)
    }

    /// The finding as lines for people.
    var text: String {
        let shown = "\(level.rawValue)\(String(repeating: " ", count: 8 - level.rawValue.count))\(check): \(message)"
        let stop = shown.last == "?" || shown.last == "." ? " " : ". "
        return (shown + (advice.map { stop + $0 } ?? "")).printable
    }

    /// The finding as `{"check": …, "level": "ok" | "warning" | "error", "text": …, "advice": …}`.
    var json: JSONObject {
        [
            "check": .string(check.rawValue), "level": .string(level.rawValue), "text": .string(message),
            "advice": advice.map { .string($0) },
        ]
    }
}

extension Finding {
    /// Describes a failed call.
    static func failed(_ check: CheckName, _ error: any Error, _ advice: String) -> Finding {
        let message = (error as? any ReportableError)?.message ?? "\(error)"
        return .error(check, KnownSecrets.removed(from: message), advice)
    }
}
