import Envelope
import Foundation
import TestSupport
import Testing

/// `media-fetch` by itself, between its input and its output.
@Suite(.timeLimit(.minutes(3))) struct FetchToolTests {
    private static let s3 = Result { try S3Server() }

    private let folder: TemporaryFolder
    private let site: WebSite

    init() throws {
        folder = try TemporaryFolder()
        site = try WebSite(root: folder.path)
    }

    private func video(_ path: String) -> Envelope {
        Envelope(type: "commands.media.video_download", payload: ["url": .string("\(site.url)/\(path)")])
    }

    private func failure(_ store: [String: String]) async throws -> (payload: JSONObject, log: String) {
        let environment = try Self.s3.get().environment.merging(store) { $1 }
        let result = try await ToolRun.run(
            "media-fetch", ["--store", "s3://nothing-there"], bytes: video("clip.mp4").line, environment: environment,
            folder: folder)
        let event = try #require(try result.envelopes().last)
        #expect(event.type == "events.dl.video.failed")
        return (event.payload, result.errors)
    }

    @Test func credentialsThatTheStoreRefusesAreToldAsThat() async throws {
        let (payload, log) = try await failure(["AWS_SECRET_ACCESS_KEY": "wrong"])
        #expect(payload["code"] == "store_refused")
        #expect(payload["temporary"] == false)
        #expect(payload["reason"]?.string?.contains("credentials") == true)
        #expect(log.contains("its secret is wrong"))
    }

    @Test func aWebSiteIsNotTakenForAnEmptyStore() async throws {
        let (payload, log) = try await failure(["TGPIPE_S3_ENDPOINT": site.url])
        #expect(payload["code"] == "store_configuration")
        #expect(payload["temporary"] == false)
        #expect(log.contains("is no S3 server"))
        #expect(try await site.requests("/clip.mp4").isEmpty)
    }

    @Test func aStoreThatIsAwayIsATemporaryFailure() async throws {
        let nobody = "http://127.0.0.1:\(try RedisServer.freePort())"
        let (payload, _) = try await failure(["TGPIPE_S3_ENDPOINT": nobody])
        #expect(payload["code"] == "store_unreachable")
        #expect(payload["temporary"] == true)
    }

    @Test func acceptanceIsToldBeforeTheLinkIsKnown() async throws {
        let host = site.url.dropFirst("http://".count)
        let run = try ToolRun(
            "media-fetch", ["--allow-private", "--short-host", String(host), "--drain", "10ms"], folder: folder)
        run.send(Array(video("hang").line))
        let lines = try await run.waitForLines { !$0.isEmpty }
        let event = try Envelope(try JSON(parsing: lines[0]))
        #expect(event.type == "events.media.progress")
        #expect(event.payload["state"] == "accepted")
        run.closeInput()
        run.signal(SIGTERM)
        _ = try await run.result()
    }
}
