import Glibc
import HTTP
import JSON
import Payloads
import System
import TestSupport
import Testing

@testable import Media

@Suite struct WorkSpaceTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func hash(_ letter: Character) -> String { String(repeating: letter, count: 64) }

    /// Makes the folder of a job with a partial download of 1000 bytes that has not changed for some hours.
    private func makePartial(_ letter: Character, ageHours: Int) throws {
        let path = folder(hash(letter))
        try makeDirectory("\(path)/yt-dlp")
        for name in ["download.part", "yt-dlp/media.mp4.part"] {
            try SmallFile.write([UInt8](repeating: 1, count: 500), to: "\(path)/\(name)")
        }
        let run = ["touch", "-d", "\(ageHours) hours ago"]
        for name in ["", "/yt-dlp", "/download.part", "/yt-dlp/media.mp4.part"] {
            _ = try SpawnedProgram.output(of: run + [path + name])
        }
    }

    private func space(quota: Int64?, reserve: Int64 = 0) -> WorkSpace {
        WorkSpace(directory: folder.path, reserveBytes: reserve, quotaBytes: quota)
    }

    private func exists(_ letter: Character) -> Bool { access(folder(hash(letter)), F_OK) == 0 }

    @Test func `Within the quota nothing is removed, and the rest of it is the room`() throws {
        try makePartial("a", ageHours: 9)
        #expect(try space(quota: 1500).makeRoom() == 500)
        #expect(exists("a"))
    }

    @Test func `Over the quota the oldest partial downloads go, until there is room`() throws {
        for (letter, age) in [("a", 1), ("b", 3), ("c", 2)] as [(Character, Int)] {
            try makePartial(letter, ageHours: age)
        }
        #expect(try space(quota: 2100).makeRoom() == 100)
        #expect(exists("a") && !exists("b") && exists("c"))
    }

    @Test func `What a job works on, and a finished file that waits for the next stage, is kept`() async throws {
        try makePartial("a", ageHours: 5)
        let held = try #require(try JobFolder.tryToOpen(root: folder.path, hash: hash("a")))
        defer { held.unlock() }
        let site = try LoopbackServer { $1.respond(200, [("Content-Type", "text/plain")], body: [1, 2, 3]) }
        defer { site.stop() }
        var settings = MediaSettings(directory: folder.path)
        settings.addressPolicy = .any
        let identity = try #require(SourceIdentity(site.url("/paper.txt")))
        let media = try await MediaFetcher(settings).fetch(MediaJob(.video, identity))
        let error = #expect(throws: MediaError.self) { try space(quota: 10).makeRoom() }
        #expect(error?.code == .noSpace && error?.isTransient == true)
        #expect(exists("a"))
        #expect(access(media.path, F_OK) == 0)
    }

    @Test func `No fetch begins when the disk has less than the reserve`() async throws {
        let site = try LoopbackServer { $1.respond(200, [("Content-Type", "text/plain")], body: [1, 2, 3]) }
        defer { site.stop() }
        var settings = MediaSettings(directory: folder.path)
        settings.addressPolicy = .any
        settings.reserveBytes = .max
        let identity = try #require(SourceIdentity(site.url("/paper.txt")))
        #expect(await failure(MediaJob(.video, identity), settings)?.code == .noSpace)
        #expect(site.requests.isEmpty)
    }

    @Test func `A file that exceeds only the room is a lack of space, not too large`() async throws {
        let site = try LoopbackServer {
            $1.respond(200, [("Content-Type", "text/plain")], body: [UInt8](repeating: 1, count: 5000))
        }
        defer { site.stop() }
        var settings = MediaSettings(directory: folder.path)
        settings.addressPolicy = .any
        settings.quotaBytes = 2000
        let identity = try #require(SourceIdentity(site.url("/paper.txt")))
        let job = MediaJob(.video, identity)
        #expect(await failure(job, settings)?.code == .noSpace)
        settings.maxBytes = 3000
        #expect(await failure(job, settings)?.code == .tooLarge)
    }

    private func failure(_ job: MediaJob, _ settings: MediaSettings) async -> MediaError? {
        await #expect(throws: MediaError.self) { try await MediaFetcher(settings).fetch(job) }
    }
}
