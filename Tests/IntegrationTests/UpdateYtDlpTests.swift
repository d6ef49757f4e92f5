import Foundation
import Glibc
import TestSupport
import Testing

/// Installs, tests and replaces copies of yt-dlp from a folder of packages.
@Suite(.timeLimit(.minutes(5))) struct UpdateYtDlpTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Puts a release into the folder of packages.
    private func publish(_ version: String, _ arguments: String...) throws {
        let words = ["python3", "\(testFolder)/TestSupport/fake_ytdlp.py", folder("packages"), version] + arguments
        try #require(try SpawnedProgram(words).wait() == 0)
    }

    private func update(_ arguments: String...) async throws -> ToolRun.Result {
        try await run("tgpipe-update-yt-dlp", arguments)
    }

    private func run(_ tool: String, _ arguments: [String]) async throws -> ToolRun.Result {
        let packages = ["PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder("packages")]
        return try await ToolRun.run(tool, arguments, environment: packages, folder: folder)
    }

    private var copies: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: folder("state/yt-dlp")).filter { $0.hasPrefix("copy-") }
        }
    }

    @Test func `A new release is put into use after its test, and the one before can be put back`() async throws {
        try publish("2098.01.02")
        let first = try await update()
        #expect(first.status == 0 && first.output == "yt-dlp 2098.01.02 is in use\n", "\(first.errors)")
        #expect(try await update().output == "yt-dlp 2098.01.02 is in use, and there is none newer\n")
        #expect(try copies.count == 1)

        try publish("2098.02.03", "--broken")
        let broken = try await update()
        #expect(
            broken.status == 69 && broken.errors.contains("cannot load its extractors: ImportError"), "\(broken.errors)"
        )
        #expect(broken.errors.contains("yt-dlp 2098.01.02 stays in use"))
        #expect(try copies.count == 1)

        try publish("2098.03.04")
        let unfit = try await update("--test-url", "https://example.com/bad")
        #expect(unfit.status == 69 && unfit.errors.contains("does not find the media"), "\(unfit.errors)")
        let next = try await update("--test-url", "https://example.com/good")
        #expect(next.output == "yt-dlp 2098.03.04 is in use; before: 2098.01.02\n", "\(next.errors)")
        #expect(try copies.count == 2)
        #expect(try await run("tgpipe-doctor", ["programs"]).output.contains("yt-dlp 2098.03.04"))

        #expect(try await update("--rollback").output == "yt-dlp 2098.01.02 is in use again\n")
        #expect(try await update("--rollback").output == "yt-dlp 2098.03.04 is in use again\n")
        let chosen = try await update("--release", "2098.1.2")
        #expect(chosen.output == "yt-dlp 2098.01.02 is in use; before: 2098.03.04\n", "\(chosen.errors)")
        #expect(try copies.count == 2)
    }

    @Test func `A download uses the installed copy, in its jail`() async throws {
        try publish("2098.01.02")
        #expect(try await update().status == 0)
        let site = try WebSite(root: folder.path)
        try Data("<html><title>a page</title></html>".utf8).write(to: URL(filePath: folder("page.html")))
        let result = try await run("media-fetch", ["--allow-private", "-o", folder("out"), "\(site.url)/page.html"])
        #expect(result.status == 1 && result.errors.contains("2098.01.02 was asked"), "\(result.errors)")
    }

    @Test func `Without an index, Python or a copy, the failure says what to do, and nothing is left`() async throws {
        let none = try await update()
        #expect(none.status == 69 && none.errors.contains("unable to install yt-dlp"), "\(none.errors)")
        #expect(none.errors.contains("pip's settings"))
        let python = try await update("--python", "/nonexistent/python3")
        #expect(python.status == 78 && python.errors.contains("/nonexistent/python3"), "\(python.errors)")
        let back = try await update("--rollback")
        #expect(back.status == 1 && back.errors.contains("no copy of yt-dlp to go back to"))
        #expect(try copies.isEmpty)
        #expect(try await update("--release", "1;rm").status == 64)
        #expect(try await update("--rollback", "--pre").status == 64)
    }

    @Test func `Two updates at once do not disturb each other`() async throws {
        try publish("2098.01.02")
        try FileManager.default.createDirectory(atPath: folder("state/yt-dlp"), withIntermediateDirectories: true)
        let lock = open(folder("state/yt-dlp/lock"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(lock >= 0 && flock(lock, LOCK_EX) == 0)
        let second = try await update()
        #expect(second.status == 75 && second.errors.contains("another update"))
        close(lock)
        #expect(try await update().status == 0)
    }
}
