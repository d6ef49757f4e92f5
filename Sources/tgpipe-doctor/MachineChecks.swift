import BotAPI
import Glibc
import HTTP
import JSON
import Media
import Options
import Process
import System

/// Checks the environment variables.
struct SettingsCheck {
    /// All variables whose names begin with `TG_` or `TGPIPE_`.
    static let variables: Set<String> = [
        "TGPIPE_BIN", "TGPIPE_COOKIES", "TGPIPE_COUNT_FAILURES", "TGPIPE_DB", "TGPIPE_DENY_ADDRESSES",
        "TGPIPE_FETCHES_PER_USER", "TGPIPE_HELPER_CPU", "TGPIPE_HELPER_MEMORY", "TGPIPE_HELPER_READ",
        "TGPIPE_HEARTBEAT", "TGPIPE_HISTORY_PACE", "TGPIPE_HOST", "TGPIPE_KEEP_PARTIAL", "TGPIPE_KILL_AFTER",
        "TGPIPE_LOG",
        "TGPIPE_LOG_DIR",
        "TGPIPE_LOG_STORE", "TGPIPE_MIN_FREE", "TGPIPE_MIN_RATE", "TGPIPE_RECORD", "TGPIPE_REDACT_KEY", "TGPIPE_REDIS",
        "TGPIPE_REQUIRE_JAIL",
        "TGPIPE_S3_ADDRESSING", "TGPIPE_S3_CREDENTIALS_FILE", "TGPIPE_S3_ENDPOINT", "TGPIPE_S3_PUBLIC_ENDPOINT",
        "TGPIPE_SCHEMAS", "TGPIPE_SESSION", "TGPIPE_SITES",
        "TGPIPE_SOURCE", "TGPIPE_STATE", "TGPIPE_STORE", "TGPIPE_TEXTS", "TGPIPE_WORK_QUOTA",
        "TGPIPE_GALLERY_DL", "TGPIPE_YT_DLP", "TG_ADMIN_ID", "TG_API_HASH", "TG_API_ID", "TG_BOT_API_URL",
        "TG_BOT_TOKEN", "TG_CHAT",
        "TG_GATE_OPTIONS", "TG_LAYER", "TG_LISTEN_OPTIONS", "TG_PROXY", "TG_SCHEMA", "TG_SEND_OPTIONS", "TG_SERVERS",
        "TG_SERVER_KEY", "TG_SESSION_PASSPHRASE", "TG_SESSION_PASSPHRASE_FILE", "TG_TRANSPORT",
        "TG_WATCH_OPTIONS",
    ]

    let speaker: SpeakerOptions
    /// The names of the variables that are set.
    var set: [String] = SettingsCheck.environment

    private static var environment: [String] {
        var names: [String] = []
        var place = environ
        while let entry = place.pointee {
            names.append(String(String(cString: entry).prefix { $0 != "=" }))
            place += 1
        }
        return names
    }

    var findings: [Finding] {
        var findings = SettingsCheck.unknown(set)
        let (hasToken, hasSession) = (speaker.bot.hasToken, speaker.account.name != nil)
        if hasToken, hasSession {
            findings.append(
                .warning(
                    .settings, "both a bot token and a session are set, and the session takes precedence",
                    "Remove TG_BOT_TOKEN to act as the account, or TGPIPE_SESSION to act as the bot."))
        }
        if Settings.environment("TG_ADMIN_ID") == nil {
            findings.append(
                .warning(
                    .settings, "TG_ADMIN_ID is not set, so that nobody may use the bot",
                    "Set it to your numeric user id: write to the bot, then run"
                        + " tg-listen --bot --once | jq .payload.message.from.id"))
        }
        let admins = Settings.environment("TG_ADMIN_ID")?.split { $0 == "," || $0 == " " } ?? []
        if let wrong = admins.first(where: { Int64($0) == nil }) {
            findings.append(
                .error(
                    .settings, "TG_ADMIN_ID: \(wrong) is no user id",
                    "A user id is a number: write to the bot, then run tg-listen --bot --once | jq .payload.message.from.id"
                ))
        }
        return findings.isEmpty ? [.ok(.settings, "no unknown variables")] : findings
    }

    /// Returns a warning for each variable that looks like one of tgpipe's and is none.
    static func unknown(_ names: [String]) -> [Finding] {
        let own = names.filter { $0.hasPrefix("TG_") || $0.hasPrefix("TGPIPE_") }
        return own.filter { !variables.contains($0) && !$0.hasPrefix("TGPIPE_TEST_") }.sorted().map { name in
            let near = SimilarNames.nearest(to: name, among: variables.sorted())
            return .warning(
                .settings, "no tool reads the variable \(name)",
                near.isEmpty
                    ? "Remove it, or see docs/operation.md." : "Did you mean \(near.joined(separator: " or "))?")
        }
    }
}

/// Checks the state folder and its file system.
struct StateCheck {
    private static let wanted: UInt64 = 2 << 30
    private static let least: UInt64 = 200 << 20
    /// Nil if none is named.
    let folder: String?

    var findings: [Finding] {
        guard let folder else {
            return [.error(.state, "the state folder is unknown", "Set TGPIPE_STATE or HOME, or give --state-dir.")]
        }
        do { try makeDirectory(folder, mode: 0o700) } catch {
            return [.failed(.state, error, "Choose a folder that this user may write to: TGPIPE_STATE=/path.")]
        }
        var status = stat()
        guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            return [.error(.state, "\(folder) is not a folder", "Choose another one: TGPIPE_STATE=/path.")]
        }
        guard access(folder, W_OK | X_OK) == 0 else {
            return [
                .error(
                    .state, "this user may not write to \(folder)", "Run 'chown -R \"$(id -u)\" \(folder)' as root.")
            ]
        }
        return [permissions(folder, status.st_mode), space(folder)]
    }

    private func permissions(_ folder: String, _ mode: mode_t) -> Finding {
        guard mode & 0o022 != 0 else { return .ok(.state, folder) }
        return .warning(.state, "other users may write to \(folder)", "Run 'chmod go-w \(folder)'.")
    }

    private func space(_ folder: String) -> Finding {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else {
            return .warning(.state, "the free space is unknown: \(String(cString: strerror(errno)))", "Look with df.")
        }
        let (free, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return StateCheck.judge(freeBytes: overflow ? .max : free)
    }

    static func judge(freeBytes free: UInt64) -> Finding {
        let text = "\(free >> 20) MB are free in the state folder's file system"
        if free < least { return .error(.state, text, "Free some: downloads need twice the size of a file.") }
        return free < wanted ? .warning(.state, text, "Downloads need twice the size of a file.") : .ok(.state, text)
    }
}

/// Compares the clock with that of Telegram's server. A wrong clock makes signatures of S3 and of MTProto invalid.
struct ClockCheck {
    let speaker: SpeakerOptions

    func findings() async -> [Finding] {
        let url = speaker.bot.botApiUrl ?? Settings.environment("TG_BOT_API_URL") ?? BotAPI.cloudURL
        var request = HTTPRequest("GET", "\(url)/")
        request.deadline = .seconds(10)
        request.maxBodyBytes = 1 << 20
        let host = WebURL(url)?.host ?? "the server"
        do throws(HTTPError) {
            let head = try await HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)").send(request).head
            guard let theirs = head.date("Date") else {
                return [.warning(.clock, "\(host) does not tell the time", "Compare the output of date yourself.")]
            }
            return [ClockCheck.judge(ahead: Timestamp.now.elapsed(since: theirs), of: host)]
        } catch {
            return [
                .warning(
                    .clock, "unable to ask \(host) for the time: \(error.message)",
                    "Check the network and the proxy, if there is one.")
            ]
        }
    }

    static func judge(ahead: Duration, of host: String) -> Finding {
        let seconds = ahead.components.seconds
        guard abs(seconds) > 5 else { return .ok(.clock, "the clock agrees with that of \(host)") }
        let text = "the clock is \(abs(seconds)) s \(seconds > 0 ? "ahead of" : "behind") that of \(host)"
        let advice = "Run 'timedatectl set-ntp true', or install chrony."
        return abs(seconds) > 60 ? .error(.clock, text, advice) : .warning(.clock, text, advice)
    }
}

/// Checks yt-dlp, its JavaScript runtime, gallery-dl, ffmpeg and ffprobe.
struct ProgramCheck {
    private static let runtimes = ["deno", "node", "bun", "qjs"]
    /// Sites change often; after this time, some no longer work.
    private static let freshDays = 60

    /// The folder of `tgpipe update-yt-dlp`.
    let ytDlpFolder: String?

    func findings() async -> [Finding] {
        var findings = [await ytDlp()]
        if findings[0].level != .error {
            let runtime = ProgramCheck.runtimes.first { Command($0, []).executable != nil }
            findings.append(
                runtime.map { .ok(.programs, "\($0), for yt-dlp") }
                    ?? .warning(
                        .programs, "yt-dlp finds no JavaScript runtime, without which many videos of YouTube fail",
                        "Install deno (https://deno.com) or the package nodejs."))
        }
        findings.append(await gallery())
        findings.append(await ffmpeg())
        findings.append(
            await firstLine("ffprobe", ["-version"]).map { .ok(.programs, $0) }
                ?? .error(.programs, "ffprobe does not run", "Install the package ffmpeg."))
        return findings
    }

    private func ytDlp() async -> Finding {
        let program = InstalledYtDlp.chosen(nil, folder: ytDlpFolder)
        guard let version = await firstLine(program, ["--version"]) else {
            return .error(
                .programs, "\(program) does not run",
                "Install it: 'tgpipe update-yt-dlp'; or set TGPIPE_YT_DLP if it is not on PATH.")
        }
        return ProgramCheck.judge(ytDlp: version, at: .now)
    }

    /// Checks the program for pictures, without which videos and sound are fetched all the same.
    private func gallery() async -> Finding {
        let program = InstalledYtDlp.chosenGallery(nil, folder: ytDlpFolder)
        return await firstLine(program, ["--version"]).map { .ok(.programs, "gallery-dl \($0), for pictures") }
            ?? .warning(
                .programs, "\(program) does not run, so that there are no pictures (.img)",
                "Install it: 'tgpipe update-yt-dlp'; or set TGPIPE_GALLERY_DL if it is not on PATH.")
    }

    /// Judges a version such as `2026.11.20`.
    static func judge(ytDlp version: String, at now: Timestamp) -> Finding {
        let numbers = version.split(separator: ".").prefix(3).map(String.init)
        guard numbers.count == 3, let made = Timestamp("\(numbers.joined(separator: "-"))T00:00:00Z") else {
            return .warning(.programs, "yt-dlp has an unknown version: \(version)", "Install a release of yt-dlp.")
        }
        let days = now.elapsed(since: made).components.seconds / 86_400
        guard days > freshDays else { return .ok(.programs, "yt-dlp \(version)") }
        return .warning(
            .programs, "yt-dlp \(version) is \(days) days old, and sites change often",
            "Update it: 'tgpipe update-yt-dlp'.")
    }

    private func ffmpeg() async -> Finding {
        guard let version = await firstLine("ffmpeg", ["-version"]) else {
            return .error(.programs, "ffmpeg does not run", "Install the package ffmpeg.")
        }
        let encoders = await output("ffmpeg", ["-hide_banner", "-encoders"])
        let missing = ["libx264", "aac", "libmp3lame"].filter { name in
            !encoders.contains { $0.split(separator: " ").dropFirst().first == name[...] }
        }
        guard missing.isEmpty else {
            return .warning(
                .programs, "ffmpeg has no encoder \(missing.joined(separator: ", "))",
                "Install Debian's package ffmpeg, which has them.")
        }
        return .ok(.programs, version)
    }

    private func firstLine(_ program: String, _ arguments: [String]) async -> String? {
        await output(program, arguments).first.map { String($0.prefix(60)) }
    }

    /// Returns the lines that a program prints; none if it fails.
    private func output(_ program: String, _ arguments: [String]) async -> [String] {
        let lines = LineCollector()
        var run = ChildRun(Command(program, arguments), timeout: .seconds(30))
        run.maxOutputBytes = 1 << 20
        let exit = try? await run.run(onLine: { lines.add($0) })
        return exit?.isSuccess == true ? lines.all : []
    }
}

/// Checks the layers of the jail for yt-dlp and ffmpeg.
struct JailCheck {
    var findings: [Finding] {
        let gaps = HelperJail.gaps
        guard gaps.isEmpty else {
            return gaps.map {
                .warning(.jail, "the jail for yt-dlp and ffmpeg lacks a layer: \($0)", "See docs/security.md.")
            }
        }
        return [.ok(.jail, HelperJail.activeLayers.joined(separator: ", "))]
    }
}
