import ArgumentParser
import BotAPI
import HTTP
import Media
import Payloads
import TestSupport
import Testing

@testable import Blob
@testable import media_fetch

@Suite struct FetchLimitsTests {
    private func limits(_ arguments: [String], _ server: String?, link: Bool) throws -> FetchLimits {
        let folder = try TemporaryFolder()
        var options = S3Options()
        options.endpoint = "http://127.0.0.1:9"
        let store = try openStore(link ? "s3://bucket" : "file:\(folder.path)", s3: options) { name in
            name.hasPrefix("AWS_") && name.contains("KEY") ? "key-of-a-test" : nil
        }
        let api = try server.map {
            BotAPI(
                token: try #require(BotToken("123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11")), baseURL: $0,
                client: HTTPClient())
        }
        return try FetchOptions.parse(arguments).limits(store, api?.uploadLimitBytes)
    }

    @Test func `A video that Telegram's server does not take is fetched only where there are links`() throws {
        let cloud = BotAPI.cloudURL
        #expect(try limits([], cloud, link: false).delivery == DeliveryLimit(bytes: 50_000_000))
        #expect(try limits([], cloud, link: true).delivery == nil)
        #expect(try limits([], "http://localhost:8081", link: false).delivery == DeliveryLimit(bytes: 2000 << 20))
        #expect(try limits([], nil, link: false).delivery == nil)
        #expect(try limits(["--max-size", "1G"], cloud, link: false).delivery == nil)
        #expect(try limits(["--max-size", "1G"], cloud, link: false).maxBytes == 1 << 30)
        #expect(try limits([], cloud, link: false).maxBytes == 2000 << 20)
    }

    @Test func `What an account with Premium can send is fetched without an option`() throws {
        let store = try openStore("file:\(try TemporaryFolder().path)", s3: S3Options()) { _ in nil }
        let premium: Int64 = 4000 << 20
        #expect(try FetchOptions.parse([]).limits(store, premium).maxBytes == premium)
        #expect(try FetchOptions.parse([]).limits(store, 2000 << 20).maxBytes == 2000 << 20)
        #expect(try FetchOptions.parse(["--max-size", "1G"]).limits(store, premium).maxBytes == 1 << 30)
    }

    @Test func `A video that is encoded anew to fit may be larger before, a picture may not`() throws {
        let store = try openStore("file:\(try TemporaryFolder().path)", s3: S3Options()) { _ in nil }
        let options = try FetchOptions.parse(["--over-limit", "reencode", "--reencode-time", "5m"])
        let limits = try options.limits(store, 50_000_000)
        #expect(limits.delivery == DeliveryLimit(bytes: 50_000_000, isForPicturesOnly: true))
        let error = MediaError(.tooLarge, "x")
        if case .failed = limits.result(of: error, .image, isFile: false) {} else { Issue.record("handed over") }
        var settings = MediaSettings(directory: "/nowhere")
        settings.delivery = limits.delivery
        #expect(settings.longest(.image) == 50_000_000 && settings.longest(.video) == settings.maxBytes)
        let reencode = try #require(try options.reencode(store, 50_000_000))
        #expect(reencode.isRequired && reencode.limitBytes == 50_000_000 && reencode.budget == .seconds(300))
        let unlimited = try options.reencode(store, nil)
        #expect(unlimited == nil)
    }

    @Test func `No other worker gets what none can deliver`() {
        let error = MediaError(.tooLarge, "x")
        let limits = FetchLimits(direct: 1 << 30, max: 2 << 30, delivery: DeliveryLimit(bytes: 50 << 20))
        if case .failed = limits.result(of: error, .video, isFile: false) {} else { Issue.record("handed over") }
        if case .failed = limits.result(of: error, .image, isFile: false) {} else { Issue.record("handed over") }
        if case .large = limits.result(of: error, .audio, isFile: false) {} else { Issue.record("not handed over") }
        let small = FetchLimits(direct: 10 << 20, max: 2 << 30, delivery: DeliveryLimit(bytes: 50 << 20))
        if case .large = small.result(of: error, .video, isFile: false) {} else { Issue.record("not handed over") }
    }
}
