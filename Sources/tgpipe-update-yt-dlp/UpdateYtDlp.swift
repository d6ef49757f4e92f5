package import ArgumentParser
import Glibc
import Logging
import Media
import Options
import Process
import Stage
import Synchronization
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = UpdateYtDlp.self

struct UpdateYtDlp: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tgpipe-update-yt-dlp",
        abstract: "Install the newest yt-dlp and gallery-dl for media-fetch, or go back to those before.",
        discussion: """
            Installs yt-dlp with pip into the state folder, from the package index of pip's configuration, which also tells the \
            hashes that pip checks; and gallery-dl, which fetches pictures, beside it. The new copy is tested, and put into use only if it works; media-fetch then takes it for the \
            next download, without a restart. The copy before it is kept. `tgpipe update-yt-dlp` is the same.

            Examples: tgpipe update-yt-dlp
                      tgpipe update-yt-dlp --test-url https://example.com/watch/42
                      tgpipe update-yt-dlp --rollback
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions

    @Option(help: ArgumentHelp("Install this version instead of the newest.", valueName: "version"))
    var release: String?

    @Flag(help: "Take versions before their release, too, such as the one of last night.")
    var pre = false

    @Option(
        help: ArgumentHelp("Also test whether the new copy finds the media behind this link.", valueName: "link"))
    var testUrl: String?

    @Flag(help: "Go back to the copy before the current one.")
    var rollback = false

    @Option(help: ArgumentHelp("The Python to use; it needs pip.", valueName: "program"))
    var python: String = "python3"

    func validate() throws {
        if rollback, release != nil || pre || testUrl != nil {
            throw ValidationError("--rollback installs nothing: it goes without --release, --pre and --test-url")
        }
        if let release,
            !release.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") }) || release.isEmpty
        {
            throw ValidationError("--release needs a version such as 2026.11.20")
        }
        if let testUrl, !testUrl.hasPrefix("https://"), !testUrl.hasPrefix("http://") {
            throw ValidationError("--test-url needs a link that begins with https:// or http://")
        }
    }

    var isOneShot: Bool { true }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let installed = InstalledYtDlp(folder: try runtime.directory("yt-dlp"))
        let lock = open("\(installed.folder)/lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw ToolError.localIO("unable to write to \(installed.folder)") }
        defer { close(lock) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw ToolError(.tryAgain, "another update of yt-dlp is running")
        }
        let done: String? = try await runtime.shutdown.interrupting {
            if rollback { return try await goBack(installed) }
            return try await update(installed, runtime)
        }
        guard let done else { throw CancellationError() }
        let failure = Array("\(done)\n".utf8).withUnsafeBytes { writeAll(STDOUT_FILENO, $0) }
        guard failure == 0 else { throw ToolError.localIO("unable to write to standard output", errno: failure) }
        return .success
    }

    private func goBack(_ installed: InstalledYtDlp) async throws -> String {
        guard try installed.rollBack(), let program = installed.program else {
            throw ToolError(.no, "there is no copy of yt-dlp to go back to")
        }
        return "yt-dlp \(try await YtDlpTest(program: program).version()) is in use again"
    }

    private func update(_ installed: InstalledYtDlp, _ runtime: Runtime) async throws -> String {
        var former: String?
        if let program = installed.program {
            former = try? await versions(YtDlpTest(program: program).version(), beside: program)
        }
        let name = InstalledYtDlp.newName()
        let copy = "\(installed.folder)/\(name)"
        do {
            try await install(into: copy, runtime)
            let test = YtDlpTest(program: InstalledYtDlp.program(of: copy))
            let version = try await test.version()
            let all = try await versions(version, beside: test.program)
            if all == former {
                removeTree(copy)
                return "yt-dlp \(all) is in use, and there is none newer"
            }
            try await test.run(testUrl)
            try installed.use(name)
            return "yt-dlp \(all) is in use\(former.map { "; before: \($0)" } ?? "")"
        } catch {
            removeTree(copy)
            if let former, error is ToolError { runtime.log.notice("yt-dlp \(former) stays in use") }
            throw error
        }
    }

    /// Installs yt-dlp into a new virtual environment. Only finished packages are taken: others would run programs of their own here.
    private func install(into copy: String, _ runtime: Runtime) async throws {
        let package = "yt-dlp[default]" + (release.map { "==\($0)" } ?? "")
        var pip = ["-m", "pip", "--python", "\(copy)/bin/python3", "install", "--no-input", "--quiet"]
        pip += ["--disable-pip-version-check", "--only-binary", ":all:"] + (pre ? ["--pre"] : [])
        try await Program(python, ["-m", "venv", "--without-pip", copy]).succeed(
            orElse: "unable to make an environment of Python", "install python3")
        try await Program(python, pip + [package]).succeed(
            orElse: "unable to install \(package)",
            "check the network and pip's settings; pip itself is the package python3-pip")
        do {
            // The version is of yt-dlp, whose failure would leave everybody without videos. Pictures are asked for less often.
            try await Program(python, pip + ["gallery-dl"]).succeed(
                orElse: "unable to install gallery-dl", "check the network")
        } catch let error as ToolError {
            runtime.log.warning("\(error.message): there are no pictures until the next update")
        }
    }

    /// Returns the version of yt-dlp, and that of a gallery-dl that is installed beside it.
    private func versions(_ version: String, beside program: String) async throws -> String {
        let gallery = InstalledYtDlp.galleryProgram(of: parentFolder(parentFolder(program)))
        guard access(gallery, X_OK) == 0 else { return version }
        let lines = try await Program(gallery, ["--config-ignore", "--version"])
            .succeed(orElse: "this gallery-dl does not run", "the release may be broken")
        return "\(version) with gallery-dl \(lines.first?.prefix(40) ?? "")"
    }
}

/// Tests a copy of yt-dlp.
struct YtDlpTest: Sendable {
    let program: String

    /// Returns the version that it tells.
    ///
    /// - Throws: `ToolError` (69) if it does not run.
    func version() async throws -> String {
        let lines = try await Program(program, ["--ignore-config", "--version"])
            .succeed(orElse: "this yt-dlp does not run", "the release may be broken")
        guard let version = lines.first, version.first?.isNumber == true, version.utf8.count < 40 else {
            throw ToolError(.unavailable, "this yt-dlp tells no version")
        }
        return version
    }

    /// Loads every extractor, which a broken release or a wrong Python does not survive, and tries a link if there is one.
    ///
    /// - Throws: `ToolError` (69).
    func run(_ link: String?) async throws {
        let extractors = try await Program(program, ["--ignore-config", "--list-extractors"])
            .succeed(orElse: "this yt-dlp cannot load its extractors", "the release may be broken")
        guard extractors.contains("generic") else { throw ToolError(.unavailable, "this yt-dlp has no extractors") }
        guard let link else { return }
        _ = try await Program(program, ["--ignore-config", "--simulate", "--quiet", "--", link])
            .succeed(orElse: "this yt-dlp does not find the media behind \(link)", "try the link with another version")
    }
}

/// Runs a program that has to succeed.
struct Program: Sendable {
    private let command: Command

    init(_ program: String, _ arguments: [String]) { command = Command(program, arguments) }

    /// Returns the lines that the program prints.
    ///
    /// - Throws: `ToolError` (69) with the last line of its errors, (78) if there is no such program.
    @discardableResult
    func succeed(orElse failure: String, _ advice: String) async throws -> [String] {
        let lines = Mutex<[String]>([])
        let run = ChildRun(command, timeout: .seconds(900))
        let exit: ChildRun.Exit
        do {
            exit = try await run.run(onLine: { line in lines.withLock { $0.append(line) } })
        } catch {
            throw ToolError(.configuration, "unable to start \(command.program): \(error)")
        }
        try Task.checkCancellation()
        guard exit.isSuccess else {
            let reason = exit.errorLines.last { $0.contains { !$0.isWhitespace } }.map { ": \($0.prefix(300))" } ?? ""
            throw ToolError(.unavailable, "\(failure)\(reason) (\(advice))")
        }
        return lines.withLock { $0 }
    }
}
