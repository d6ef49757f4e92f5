import Envelope
import Foundation
import Glibc
import JSON
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

    @Test func `A folder that does not exist is made, and one that cannot be made is named`() async throws {
        let result = try await fetch(["--audio", "-o", folder("new/deep"), "\(site.url)/song.mp3"])
        #expect(result.status == 0 && result.lines == [folder("new/deep/song.mp3")], "\(result.errors)")
        let below = try await fetch(["-o", folder("song.mp3/nowhere"), "\(site.url)/song.mp3"])
        #expect(below.status == 74)
        #expect(below.errors.contains("nowhere"))
    }

    @Test func `A file that is there already is left out on request, and one that differs is kept beside it`()
        async throws
    {
        for _ in 1...2 {
            let result = try await fetch(["--audio", "--skip-same", "-o", output, "\(site.url)/song.mp3"])
            #expect(result.status == 0 && result.lines == ["\(output)/song.mp3"], "\(result.errors)")
        }
        #expect(try files == ["song.mp3"])
        let size = try Data(contentsOf: URL(filePath: "\(output)/song.mp3")).count
        // Another file of the same name and size.
        try Data(repeating: 0, count: size).write(to: URL(filePath: "\(output)/song.mp3"))
        let other = try await fetch(["--audio", "--skip-same", "-o", output, "\(site.url)/song.mp3"])
        #expect(other.lines == ["\(output)/song (2).mp3"], "\(other.errors)")
        #expect(try await fetch(["--skip-same"]).status == 64)
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

    // MARK: Messages

    @Test func `The files of messages are fetched by link, with their album or as a range`() async throws {
        let emulator = try await MTProtoEmulator()
        let alice = try await AccountFolder(emulator, folder: folder)
        try await emulator.server.call(
            "POST", "/control/message",
            [
                "account": .integer(MTProtoEmulator.alice), "chat_id": -1_001_234_567_890, "chat_type": "supergroup",
                "chat_username": "newsroom", "title": "News", "text": "hello", "from": ["id": 77, "first_name": "Bob"],
            ])
        for name in ["a.txt", "b.txt", "c.txt"] {
            try Data("content of \(name)".utf8).write(to: URL(filePath: folder(name)))
        }
        let album = try await alice.run(
            "tg-send", ["--chat", "@newsroom", "--document", folder("a.txt"), "--document", folder("b.txt")])
        #expect(album.status == 0, "\(album.errors)")
        let single = try await alice.run("tg-send", ["--chat", "@newsroom", "--document", folder("c.txt")])
        let last = try #require(try single.envelopes().first?.payload["message_id"]?.int)
        func fetch(_ link: String) async throws -> ToolRun.Result {
            try await alice.run("media-fetch", ["-o", output, link])
        }

        let byName = try await fetch("https://t.me/newsroom/\(last)")
        #expect(byName.status == 0 && byName.lines == ["\(output)/c.txt"], "\(byName.errors)")
        #expect(try String(contentsOfFile: "\(output)/c.txt", encoding: .utf8) == "content of c.txt")
        let whole = try await fetch("https://t.me/c/1234567890/\(last - 2)")
        #expect(whole.lines == ["\(output)/a.txt", "\(output)/b.txt"], "\(whole.errors)")
        let alone = try await fetch("https://t.me/newsroom/\(last - 1)?single")
        #expect(alone.lines == ["\(output)/b (2).txt"], "\(alone.errors)")
        let range = try await fetch("https://t.me/newsroom/1-\(last + 500)")
        #expect(range.status == 0 && range.lines.count == 3, "\(range.errors)")
        let again = try await alice.run(
            "media-fetch", ["--skip-same", "-o", output, "https://t.me/newsroom/1-\(last + 500)"])
        #expect(again.lines == ["a", "b", "c"].map { "\(output)/\($0).txt" }, "\(again.errors)")

        for (link, words) in [
            ("https://t.me/newsroom/1", "has no file"), ("https://t.me/newsroom/4000", "no such message"),
            ("https://t.me/nobody_here/5", "@nobody_here"),
        ] {
            let failed = try await fetch(link)
            #expect(failed.status == 1 && failed.errors.contains(words), "\(link): \(failed.errors)")
        }
        #expect(try files.count == 7)
        #expect(try await alice.violations() == [])
    }
}
