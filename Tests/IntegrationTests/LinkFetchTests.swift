import Foundation
import Glibc
import TestSupport
import Testing

/// Runs `media-fetch` with links as arguments, as a shell user does.
@Suite(.timeLimit(.minutes(3))) struct LinkFetchTests {
    private let folder: TemporaryFolder
    private let site: WebSite
    private let output: String

    init() throws {
        folder = try TemporaryFolder()
        site = try WebSite(root: folder.path)
        output = folder("downloads")
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let song = "ffmpeg -loglevel error -f lavfi -i sine=d=5 -b:a 64k"
        guard try SpawnedProgram(["sh", "-c", "\(song) \(folder("song.mp3"))"]).wait() == 0 else {
            throw ToolRun.TookTooLong(description: "ffmpeg made no sound file")
        }
    }

    private func fetch(_ arguments: [String]) async throws -> ToolRun.Result {
        try await ToolRun.run("media-fetch", ["--allow-private"] + arguments, folder: folder)
    }

    private var files: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: output).sorted() } }

    @Test func `A link becomes a file under its own name, which replaces no other`() async throws {
        for name in ["song.mp3", "song (2).mp3"] {
            let result = try await fetch(["--audio", "-o", output, "\(site.url)/song.mp3"])
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.lines == ["\(output)/\(name)"])
            let (fetched, original) = (try Data(contentsOf: URL(filePath: "\(output)/\(name)")), folder("song.mp3"))
            #expect(try fetched == Data(contentsOf: URL(filePath: original)))
        }
        #expect(try files == ["song (2).mp3", "song.mp3"])
    }

    @Test func `A link that fails sets the exit status, and the others are fetched`() async throws {
        let result = try await fetch(["--audio", "-o", output, "\(site.url)/gone.mp3", "\(site.url)/song.mp3"])
        #expect(result.status == 1)
        #expect(result.lines == ["\(output)/song.mp3"])
        #expect(result.errors.contains("gone.mp3"))
        #expect(try files == ["song.mp3"])
    }

    @Test func `A folder that does not exist is named`() async throws {
        let result = try await fetch(["-o", folder("nowhere"), "\(site.url)/song.mp3"])
        #expect(result.status == 74)
        #expect(result.errors.contains("nowhere"))
    }

    @Test(arguments: [
        (["--audio"], "needs a link"), (["-o", "downloads"], "needs a link"),
        (["-o", "", "http://x/"], "--output-dir is empty"),
        (["-o", "a", "--output-dir", "b", "http://x/"], "given twice"),
        (["song.mp3"], "is not a link"), (["file:///etc/passwd"], "is not a link"),
    ])
    func `A mistake in the arguments is named`(_ arguments: [String], _ words: String) async throws {
        let result = try await fetch(arguments)
        #expect(result.status == 64)
        #expect(result.errors.contains(words), "\(result.errors)")
    }

    @Test func `A name like an option, a slash and a password do no harm`() async throws {
        try FileManager.default.copyItem(atPath: folder("song.mp3"), toPath: folder("-rf.mp3"))
        let place = FileManager.default.currentDirectoryPath
        let result = try await fetch(["--audio", "-o", "\(output)//", "\(site.url)/-rf.mp3"])
        #expect(result.lines == ["\(output)/-rf.mp3"], "\(place) \(result.errors)")
        let secret = try await fetch(["--audio", "-o", output, "http://ann:s3cret@127.0.0.1:1/x.mp3"])
        #expect(secret.status == 1)
        #expect(!secret.errors.contains("s3cret"), "\(secret.errors)")
    }

    @Test func `An interrupted fetch leaves nothing behind`() async throws {
        let run = try ToolRun(
            "media-fetch", ["--allow-private", "--audio", "-o", output, "\(site.url)/slow/2000/song.mp3"],
            folder: folder)
        while try await site.requests("/slow/2000/song.mp3").isEmpty { try await Task.sleep(for: .milliseconds(50)) }
        run.signal(SIGTERM)
        let result = try await run.result()
        #expect(result.status == 128 + SIGTERM, "\(result.errors)")
        #expect(try files.isEmpty)
    }
}
