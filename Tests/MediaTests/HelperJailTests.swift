import Glibc
import HTTP
import Payloads
import Process
import Synchronization
import System
import TestSupport
import Testing

@testable import Media

/// Tries what an attacker would try who controls a site, or yt-dlp itself.
@Suite("A helper program's jail", .serialized)
struct HelperJailTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ text: String, _ name: String) throws -> String {
        try SmallFile.write(Array(text.utf8), to: folder(name))
        return folder(name)
    }

    private func ffmpeg(_ arguments: String...) async throws {
        let run = ChildRun(Command("ffmpeg", ["-v", "error", "-y"] + arguments), timeout: .seconds(120))
        let exit = try await run.runHelper()
        #expect(exit.isSuccess, "\(exit.errorLines)")
    }

    @Test func `ffprobe opens no file that a playlist names`() async throws {
        let clips = try Clips.shared.get()
        let secret = folder("secret.mp4")
        try FileCopy.copy(clips.mp4, to: secret)
        let playlist = try write(
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:\(secret)\n#EXT-X-ENDLIST\n", "list.m3u8")
        func opens(_ jail: Jail?) async throws -> Bool {
            // Without the options by which this library forbids playlists in the first place.
            var command = Command(
                "ffprobe",
                [
                    "-v", "error", "-allowed_extensions", "ALL", "-protocol_whitelist", "file,crypto,data", "-i",
                    playlist,
                ],
                directory: "/")
            command.jail = jail
            return try await ChildRun(command, timeout: .seconds(60)).runHelper().isSuccess
        }
        #expect(try await opens(nil))
        #expect(
            try await !opens(
                HelperJail().forConverter("ffprobe", input: playlist, output: nil, processorTime: .seconds(60))))
    }

    @Test func `ffmpeg reaches no proxy that a playlist names, and yt-dlp's media are not fetched with it`()
        async throws
    {
        let internalService = try LoopbackServer { $1.respond(text: "internal") }
        let port = internalService.port
        let site = try LoopbackServer { request, connection in
            // An encrypted playlist, which yt-dlp hands to ffmpeg. Its parts name a protocol of ffmpeg that looks like http.
            let text = """
                #EXTM3U
                #EXT-X-TARGETDURATION:2
                #EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,AAAAAAAAAAAAAAAAAAAAAA=="
                #EXTINF:2,
                httpproxy://127.0.0.1:\(port)//path.ts
                #EXT-X-ENDLIST

                """
            connection.respond(text: request.target.hasSuffix("m3u8") ? text : "")
        }
        defer {
            internalService.stop()
            site.stop()
        }
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.ytDlp.program = try "\(PythonTools.binFolder())/yt-dlp"
        // As a site could bring yt-dlp to it: every playlist goes to ffmpeg, which accepts any protocol.
        settings.ytDlp.extraArguments = [
            "--downloader", "m3u8:ffmpeg", "--downloader-args",
            "ffmpeg_i:-protocol_whitelist http,httpproxy,https,tls,tcp,crypto,data,file -allowed_extensions ALL",
        ]
        let identity = try #require(SourceIdentity(site.url("/list.m3u8")))
        await #expect(throws: MediaError.self) { try await MediaFetcher(settings).fetch(MediaJob(.video, identity)) }
        #expect(!site.requests.isEmpty)
        #expect(internalService.requests.isEmpty)
    }

    @Test func `A file with huge pictures fails with a clear message instead of taking all memory`() async throws {
        try await ffmpeg(
            "-f", "lavfi", "-i", "color=size=8192x8192:rate=25", "-frames:v", "1", "-c:v", "png", folder("one.mkv"))
        try await ffmpeg("-stream_loop", "59", "-i", folder("one.mkv"), "-c", "copy", folder("many.mkv"))
        let ffmpeg = FFmpeg(deadline: .now + .seconds(100), maxBytes: 1 << 30)
        let probe = try #require(try await ffmpeg.probe(folder("many.mkv")))
        let error = await #expect(throws: MediaError.self) {
            try await ffmpeg.makeMP4(
                from: folder("many.mkv"), to: folder("out.mp4"), probe: probe, tags: MediaTags(), onProgress: { _ in })
        }
        #expect(error?.code == .conversionFailed)
        #expect(error?.reason.contains("more memory") == true, "\(error?.reason ?? "")")
        #expect(error?.isTransient == false)
        #expect(access(folder("out.mp4"), F_OK) != 0)
    }

    /// Writes a program that stands for a yt-dlp whose site has taken it over, and returns the names of its attempts that
    /// succeeded.
    private func successes(_ attempts: String) async throws -> String {
        let script = """
            #!/usr/bin/python3
            import glob, os, socket, sys
            done = []
            def attempt(name, action):
                try:
                    action()
                    done.append(name)
                except BaseException:
                    pass
            \(attempts)
            print("ERROR: done:" + ",".join(done), file=sys.stderr)
            sys.exit(1)

            """
        let program = try write(script, "yt-dlp")
        chmod(program, 0o755)
        var settings = MediaSettings(directory: folder("jobs"))
        settings.ytDlp.program = program
        // The address is that of a video page, so nothing but yt-dlp fetches it.
        let identity = try #require(SourceIdentity("https://www.youtube.com/watch?v=aaaaaaaaaaa"))
        let error = await #expect(throws: MediaError.self) {
            try await MediaFetcher(settings).fetch(MediaJob(.video, identity))
        }
        return error?.reason ?? ""
    }

    @Test func `A hostile yt-dlp changes only its own folder, and finds no secret`() async throws {
        setenv("TG_BOT_TOKEN", "123456:SECRET", 1)
        defer { unsetenv("TG_BOT_TOKEN") }
        let outside = try write("key", "id_ed25519")
        let server = try LoopbackServer { $1.respond(text: "internal") }
        defer { server.stop() }
        let done = try await successes(
            """
            attempt("own", lambda: open("file", "w").write("x"))
            attempt("environment", lambda: os.environ["TG_BOT_TOKEN"])
            attempt("parent", lambda: open("/proc/\(getpid())/environ").read())
            attempt("list", lambda: os.listdir("/proc"))
            attempt("key", lambda: open("\(outside)").read())
            attempt("result", lambda: open("../finished.json", "w"))
            attempt("lock", lambda: os.unlink("../lock"))
            attempt("outside", lambda: open("\(folder("made"))", "w"))
            attempt("job", lambda: os.mkdir("../../other"))
            attempt("local", lambda: socket.create_connection(("127.0.0.1", \(server.port)), 5))
            attempt("remote", lambda: socket.create_connection(("192.0.2.1", 80), 5))
            attempt("redis", lambda: socket.socket(socket.AF_UNIX))
            attempt("kill", lambda: os.kill(\(getpid()), 0))
            """)
        #expect(done == "done:own")
        #expect(server.requests.isEmpty)
    }

    @Test func `A hostile yt-dlp cannot plant a result for the next attempt`() async throws {
        let secret = try write("secret", "secret")
        _ = try await successes(
            """
            attempt("link", lambda: os.symlink("\(secret)", "media.mp4"))
            attempt("hard", lambda: os.link("\(secret)", "media.mkv"))
            print('tgpipe-path "media.mp4"')
            """)
        let identity = try #require(SourceIdentity("https://www.youtube.com/watch?v=aaaaaaaaaaa"))
        let fetcher = MediaFetcher(MediaSettings(directory: folder("jobs")))
        #expect(await fetcher.finished(ContentAddress(.video, identity)) == nil)
    }

    @Test func `A hostile yt-dlp cannot stop media-fetch by what it leaves behind`() async throws {
        let program = try write(
            """
            #!/usr/bin/python3
            import json, os, sys
            if "-J" in sys.argv:
                for name in "info.json", "info.json.new", "cookies.txt":
                    try:
                        os.unlink(name)
                    except OSError:
                        pass
                os.mkfifo("info.json.new")
                os.makedirs("info.json/x")
                os.mkfifo("cookies.txt")
                # Longer than what a pipe takes without a reader.
                print(json.dumps({"id": "aaaaaaaaaaa", "extractor_key": "Youtube", "title": "x", "description": "x" * (1 << 20)}))
            else:
                info = json.load(open(sys.argv[sys.argv.index("--load-info-json") + 1]))
                sys.exit("ERROR: reached with " + str(len(info["description"])))

            """, "yt-dlp")
        chmod(program, 0o755)
        var settings = MediaSettings(directory: folder("jobs"))
        settings.ytDlp.program = program
        settings.ytDlp.cookiesFile = try write("# Netscape HTTP Cookie File", "cookies")
        let identity = try #require(SourceIdentity("https://www.youtube.com/watch?v=aaaaaaaaaaa"))
        for _ in 0..<2 {
            let error = await #expect(throws: MediaError.self) {
                try await MediaFetcher(settings).fetch(MediaJob(.video, identity))
            }
            #expect(error?.reason.contains("reached with \(1 << 20)") == true, "\(error?.reason ?? "")")
        }
    }

    @Test(arguments: [
        "open('f%d' % n, 'w').truncate(1 << 20)", "open(b'\\xff%d' % n, 'w').truncate(1 << 20)", "nest()",
    ])
    func `A hostile yt-dlp cannot fill the disk with many files, and nothing of it stays`(_ step: String) async throws {
        let program = try write(
            """
            #!/usr/bin/python3
            import os, time
            def nest():
                os.mkdir("d" * 200)
                os.chdir("d" * 200)
            for n in range(400):
                \(step)
            time.sleep(600)

            """, "yt-dlp")
        chmod(program, 0o755)
        var settings = MediaSettings(directory: folder("jobs"))
        settings.ytDlp.program = program
        settings.maxBytes = 1 << 20
        let identity = try #require(SourceIdentity("https://www.youtube.com/watch?v=aaaaaaaaaaa"))
        let error = await #expect(throws: MediaError.self) {
            try await MediaFetcher(settings).fetch(MediaJob(.video, identity))
        }
        #expect(error?.code == .tooLarge, "\(error?.reason ?? "")")
        #expect(folderEntries(folder("jobs")) == [])
    }

    @Test func `yt-dlp and its interpreter start in the jail wherever they are installed`() async throws {
        var command = Command(
            try "\(PythonTools.binFolder())/yt-dlp", ["--version"],
            environment: HelperEnvironment.variables(home: folder.path))
        command.jail = HelperJail().forExtractor(
            [command.program, "ffmpeg", "ffprobe"], network: .only(try HelperJail.network(listens: true)),
            folder: folder.path, processorTime: .seconds(60))
        let exit = try await ChildRun(command, timeout: .seconds(60)).runHelper()
        #expect(exit.isSuccess, "\(exit.errorLines)")
    }

    @Test func `What the user's arguments name is readable, and nothing else`() throws {
        let plugins = folder("plugins")
        try #require(mkdir(plugins, 0o700) == 0)
        let file = try write("x", "file")
        let settings = ExtractorSettings(extraArguments: [
            "--plugin-dirs", plugins, "--load-info=\(file)", "--proxy=/none", "/", "--x=/", "relative", "-o",
            "/tmp/%(id)s",
        ])
        #expect(settings.argumentFiles == [plugins, file])
    }

    @Test func `A yt-dlp whose files grow too slowly is ended`() async throws {
        let program = try write(
            """
            #!/usr/bin/python3
            import sys, time
            if "-J" in sys.argv:
                print('{"id": "aaaaaaaaaaa", "extractor": "youtube", "extractor_key": "Youtube", "title": "x"}')
            else:
                with open("media.mp4.part", "ab", 0) as file:
                    while True:
                        file.write(b"x")
                        time.sleep(0.01)

            """, "yt-dlp")
        chmod(program, 0o755)
        var settings = MediaSettings(directory: folder("jobs"))
        settings.ytDlp.program = program
        settings.minimumRate = .init(bytesPerSecond: 10_000, over: .milliseconds(500))
        let identity = try #require(SourceIdentity("https://www.youtube.com/watch?v=aaaaaaaaaaa"))
        let error = await #expect(throws: MediaError.self) {
            try await MediaFetcher(settings).fetch(MediaJob(.video, identity))
        }
        #expect(error?.code == .timedOut, "\(error?.reason ?? "")")
        #expect(error?.reason == "The site sends too slowly.")
    }
}
