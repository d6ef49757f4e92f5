import Foundation
import Glibc
import HTTP
import JSON
import Payloads
import TestSupport
import Testing

@testable import Media

/// Fetches pictures with gallery-dl from a web site that looks like an imageboard.
@Suite struct GalleryTests {
    private let folder: TemporaryFolder
    private let board: PictureBoard

    init() throws {
        folder = try TemporaryFolder()
        board = try GalleryTests.shared.get()
    }

    private static let shared = Result { try PictureBoard() }

    private func fetcher(_ change: (inout MediaSettings) -> Void = { _ in }) throws -> MediaFetcher {
        var settings = MediaSettings(directory: folder("jobs"))
        settings.addressPolicy = .any
        settings.deadline = .seconds(100)
        settings.galleryDl.program = try "\(PythonTools.binFolder())/gallery-dl"
        settings.galleryDl.extraArguments = board.arguments
        change(&settings)
        return MediaFetcher(settings)
    }

    private func fetch(
        _ path: String, item: Int64? = nil, _ change: (inout MediaSettings) -> Void = { _ in }
    ) async throws -> MediaFetched {
        let identity = try #require(SourceIdentity(board.site.url + path))
        return try await fetcher(change).fetch(MediaJob(.image, identity, MediaVariant(item: item)))
    }

    private func failure(_ path: String, item: Int64? = nil, _ change: (inout MediaSettings) -> Void = { _ in }) async
        -> MediaError?
    {
        await #expect(throws: MediaError.self) { try await fetch(path, item: item, change) }
    }

    private func pictures(_ path: String, _ first: Int64, _ last: Int64) async throws -> MediaList {
        let identity = try #require(SourceIdentity(board.site.url + path))
        return try await fetcher().pictures(identity, try #require(ItemRange(first, last)))
    }

    // MARK: Lists

    @Test func `The pictures of a gallery are listed with their places, and one more tells that it goes on`()
        async throws
    {
        let all = try await pictures("/b/res/1.html", 1, 20)
        #expect(all.items.map(\.place) == [1, 2, 3, 4] && all.count == 4 && all.title == "A thread")
        #expect(all.hasPictures && all.items.allSatisfy { $0.isPart && $0.url == nil })
        let part = try await pictures("/b/res/1.html", 2, 2)
        #expect(part.items.map(\.place) == [2, 3] && part.count == nil)
        let end = try await pictures("/b/res/1.html", 4, 9)
        #expect(end.items.map(\.place) == [4] && end.count == 4)
    }

    @Test func `A range behind the end, a page without pictures and a missing one say so`() async throws {
        for (path, first, code) in [
            ("/b/res/1.html", 9, MediaError.Code.noSuchPart), ("/pages/text.html", 1, .noPictures),
            ("/b/res/2.html", 1, .noPictures), ("/b/res/404.html", 1, .notFound),
            ("/b/res/3.html", 1, .extractorFailed),
        ] as [(String, Int64, MediaError.Code)] {
            let error = await #expect(throws: MediaError.self) { try await pictures(path, first, 20) }
            #expect(error?.code == code, "\(path): \(error?.reason ?? "")")
        }
    }

    @Test func `Of 100,000 pictures only the wanted ones are looked at`() async throws {
        let found = try await pictures("/b/res/100000.html", 1, 20)
        #expect(found.items.count == 21 && found.count == nil)
    }

    @Test func `A list of galleries stands for its first one, by whose link its pictures are named`() async throws {
        let found = try await pictures("/b/index.html", 1, 2)
        #expect(found.items.map(\.place) == [1, 2, 3])
        #expect(found.items.allSatisfy { $0.url == "\(board.site.url)/b/res/1.html" && $0.isPart })
    }

    @Test(arguments: [
        "null", "[]", "7", #"[[3]]"#, #"[[3, "x"], [3, 7, null], 8, [], [2], [6]]"#,
        #"[[9223372036854775807, "x", {}], [-9223372036854775808]]"#, #"[[6, {"a": 1}, {}]]"#,
    ])
    func `Answers that cannot be make no trap`(_ text: String) throws {
        let gallery = try Gallery(try JSON(parsing: text), try #require(ItemRange(999_999, 1_000_000)))
        #expect(gallery.items.count <= 2 && gallery.firstList == nil)
    }

    // MARK: Files

    @Test func `A picture comes as it is, with its size, its kind and a harmless name`() async throws {
        let media = try await fetch("/b/res/1.html", item: 1)
        #expect(media.key.hasPrefix("image/") && media.key.hasSuffix(".bin") && media.kind == .image)
        #expect(media.metadata.content.contentType == "image/png")
        #expect(media.metadata.description.width == 120 && media.metadata.description.height == 80)
        // The site says ../../eins, a mark that turns the direction round, and gnp.
        #expect(media.metadata.fileName == "_.._einsgnp.png")
        #expect(media.metadata.description.title == "A thread")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: media.path))
        #expect(bytes == (try Data(contentsOf: URL(fileURLWithPath: board.folder("b/src/p1.png")))))
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder("jobs"))
        #expect(files.filter { !$0.hasSuffix("lock") && !$0.hasSuffix("finished.json") }.count == 2, "\(files)")
    }

    @Test func `Each picture has an address of its own, and none of them that of a video`() throws {
        let identity = try #require(SourceIdentity("https://example.com/gallery"))
        let all = [nil, 1, 2].map { ContentAddress(.image, identity, MediaVariant(item: $0)).key }
        #expect(Set(all + [ContentAddress(.video, identity).key]).count == 4)
    }

    @Test func `A video of a gallery becomes an mp4`() async throws {
        let media = try await fetch("/b/res/1.html", item: 4)
        #expect(media.metadata.content.contentType == "video/mp4" && media.key.hasPrefix("image/"))
        #expect(media.metadata.description.width == 160 && media.metadata.description.durationSeconds != nil)
    }

    @Test func `A page with one picture needs no place, and one with several does`() async throws {
        let media = try await fetch("/b/res/5.html")
        #expect(media.metadata.description.width == 120)
        #expect(await failure("/b/res/1.html")?.code == .playlist)
        #expect(await failure("/b/res/1.html", item: 7)?.code == .noSuchPart)
    }

    @Test func `A link to a picture needs no gallery-dl`() async throws {
        let media = try await fetch("/b/src/p1.png") { $0.galleryDl.program = "/nonexistent/gallery-dl" }
        #expect(media.metadata.content.contentType == "image/png" && media.metadata.fileName == "p1.png")
        #expect(media.metadata.description.width == 120)
    }

    @Test func `What is no picture is refused, whatever it is called`() async {
        for item in 1...3 as ClosedRange<Int64> {
            #expect(await failure("/b/res/6.html", item: item)?.code == .noPictures)
        }
        #expect(await failure("/pages/text.html")?.code == .noPictures)
        #expect(await failure("/drawing.svg")?.code == .noPictures)
    }

    @Test func `A picture over the limit is refused with its size, and one without a size while it arrives`() async {
        let error = await failure("/b/res/1.html", item: 1) { $0.maxBytes = 100 }
        #expect(error?.code == .tooLarge && (error?.sizeBytes ?? 0) > 100)
        #expect(await failure("/b/res/7.html", item: 1) { $0.maxBytes = 200_000 }?.code == .tooLarge)
    }

    @Test func `A picture that cannot be delivered is refused before the download`() async {
        let error = await failure("/b/res/1.html", item: 1) { $0.delivery = DeliveryLimit(bytes: 100) }
        #expect(error?.code == .tooLarge && (error?.sizeBytes ?? 0) > 100)
    }

    // MARK: Galleries that change, and long ones

    private func job(_ path: String, _ variant: MediaVariant, _ picture: GalleryFile? = nil) throws -> MediaJob {
        var job = MediaJob(.image, try #require(SourceIdentity(board.site.url + path)), variant)
        job.picture = picture
        return job
    }

    @Test func `The pictures of a gallery keep their addresses when it grows`() async throws {
        try board.thread(20, [("p2", ".jpg", "zwei"), ("p1", ".png", "eins")])
        let before = try await pictures("/b/res/20.html", 1, 20).items
        try board.thread(20, [("p3", ".gif", "drei"), ("p2", ".jpg", "zwei"), ("p1", ".png", "eins")])
        let after = try await pictures("/b/res/20.html", 1, 20).items
        #expect(before.compactMap(\.fileID) == after.dropFirst().compactMap(\.fileID) && before.count == 2)
        #expect(Set(after.map(\.fileID)).count == 3)
        let identity = try #require(SourceIdentity(board.site.url + "/b/res/20.html"))
        let keys = [before[0], after[1], after[0]].map { item in
            ContentAddress(.image, identity, MediaVariant(item: item.place, itemID: item.fileID)).key
        }
        #expect(keys[0] == keys[1] && keys[0] != keys[2])
    }

    @Test func `A picture is found where it stands now, and one that is gone leaves its place`() async throws {
        try board.thread(21, [("p2", ".jpg", "zwei"), ("p1", ".png", "eins")])
        let item = try await pictures("/b/res/21.html", 1, 20).items[0]
        let variant = MediaVariant(item: 1, itemID: item.fileID)
        try board.thread(21, [("p3", ".gif", "drei"), ("p4", ".webm", "vier"), ("p2", ".jpg", "zwei")])
        let media = try await fetcher().fetch(try job("/b/res/21.html", variant))
        #expect(media.metadata.description.width == 320 && media.metadata.fileName == "zwei.jpg")
        try board.thread(21, [("p1", ".png", "eins")])
        let fetcher = try fetcher { $0.directory = folder("others") }
        #expect(try await fetcher.fetch(try job("/b/res/21.html", variant)).metadata.description.width == 120)
    }

    @Test func `A picture whose URL is known needs no walk through the gallery, and keeps its names`() async throws {
        let link = "\(board.site.url)/b/src/p2.jpg"
        let file = try #require(GalleryFile(url: link, performer: "Ann", fileName: "zwei"))
        let variant = MediaVariant(item: 900)
        let media = try await fetcher { $0.galleryDl.program = "/nonexistent/gallery-dl" }
            .fetch(try job("/b/res/100000.html", variant, file))
        #expect(media.metadata.description.width == 320 && media.metadata.fileName == "zwei.jpg")
        #expect(media.metadata.description.performer == "Ann")
    }

    @Test(arguments: ["/b/src/missing.jpg", "/pages/text.html", "/b/src/p5.svg", "/b/src/p7.png"])
    func `A URL that has become useless leaves the walk through the gallery`(_ path: String) async throws {
        let file = try #require(GalleryFile(url: board.site.url + path))
        let media = try await fetcher().fetch(try job("/b/res/1.html", MediaVariant(item: 2), file))
        #expect(media.metadata.description.width == 320 && media.metadata.fileName == "zwei.jpg")
    }

    @Test func `A URL that leads to too large a picture, or to a forbidden address, is refused`() async throws {
        let file = try #require(GalleryFile(url: "\(board.site.url)/b/src/p2.jpg"))
        let job = try job("/b/res/1.html", MediaVariant(item: 2), file)
        let small = try fetcher { $0.maxBytes = 100 }
        let large = await #expect(throws: MediaError.self) { try await small.fetch(job) }
        #expect(large?.code == .tooLarge)
        let guarded = try fetcher { $0.addressPolicy = .publicOnly }
        let refused = await #expect(throws: MediaError.self) { try await guarded.fetch(job) }
        #expect(refused?.code == .refusedAddress)
    }

    @Test func `Where the bot is signed in, a picture near the start is not fetched as by a stranger`() async throws {
        let file = try #require(GalleryFile(url: "\(board.site.url)/b/src/p1.png"))
        for (item, code) in [(20, MediaError.Code.missingProgram), (21, nil)] as [(Int64, MediaError.Code?)] {
            let fetcher = try fetcher { settings in
                settings.galleryDl.program = "/nonexistent/gallery-dl"
                settings.ytDlp.extraArguments = ["--netrc"]
                settings.directory = folder("jobs-\(item)")
            }
            let job = try job("/b/res/100000.html", MediaVariant(item: item), file)
            if let code {
                let error = await #expect(throws: MediaError.self) { try await fetcher.fetch(job) }
                #expect(error?.code == code)
            } else {
                #expect(try await fetcher.fetch(job).metadata.description.width == 120)
            }
        }
    }

    @Test func `A file has one name, whoever serves it and however its URL is signed`() {
        func id(_ url: String, _ details: JSONObject = [:]) -> String { GalleryFileID.id(ofFile: url, details) }
        let own = id("https://cdn1.site.example/a/1.jpg?size=large&Expires=1&Signature=x&X-Amz-Date=2")
        #expect(own == id("https://cdn2.site.example/a/1.jpg?Signature=y&size=large"))
        #expect(own.utf8.count == MediaVariant.itemIDLength)
        for other in [
            "https://cdn1.site.example/a/2.jpg?size=large", "https://cdn1.site.example/a/1.jpg?size=small",
            "https://site.other.example/a/1.jpg?size=large", "https://cdn1.site.example/a/1.jpg",
        ] {
            #expect(id(other) != own)
        }
        #expect(
            id("https://a.example/signed/x/1.jpg", ["md5": "aa"])
                == id("https://a.example/signed/y/1.jpg", ["md5": "aa"]))
        #expect(id("https://a.example/1", ["media_id": 7]) != id("https://a.example/1", ["media_id": 8]))
        #expect(id("https://a.example/1", ["md5": "", "media_id": 0]) == id("https://a.example/1"))
        #expect(id("text:something") != id("text:other"))
    }

    @Test func `Two files that would get one name are told apart by their places`() throws {
        let range = try #require(ItemRange(1, 5))
        let answer =
            #"[[3, "https://a.example/f?token=1", {}], [3, "https://a.example/f?token=2", {}], [3, "https://a.example/g", {}]]"#
        let gallery = try Gallery(try JSON(parsing: answer), range)
        #expect(gallery.items.map { $0.id == nil } == [true, true, false])
    }

    @Test func `Addresses that are not public are refused`() async {
        let error = await failure("/b/res/1.html", item: 1) { $0.addressPolicy = .publicOnly }
        #expect(error?.code == .refusedAddress, "\(error?.reason ?? "")")
    }

    @Test func `The settings of the site hold`() async throws {
        let cookies = folder("cookies.txt")
        try SmallFile.write(
            Array("# Netscape HTTP Cookie File\n\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tsecret-of-the-login\n".utf8),
            to: cookies)
        var site = Site()
        site.cookiesFile = cookies
        site.galleryArguments = ["--user-agent", "a-browser"]
        _ = try await fetch("/b/res/5.html", item: 1) { settings in
            _ = settings.sites.add(site, host: "127.0.0.1")
        }
        let visits = try await board.site.requests().filter { $0["path"]?.string == "/b/src/p1.png" }
        #expect(
            visits.contains { visit in
                visit["user_agent"] == "a-browser" && visit["cookie"] == "session=secret-of-the-login"
            }, "\(visits)")
    }

    @Test func `A cancelled download ends gallery-dl at once`() async throws {
        let fetcher = try fetcher()
        let identity = try #require(SourceIdentity("\(board.site.url)/b/res/8.html"))
        let task = Task { try await fetcher.fetch(MediaJob(.image, identity, MediaVariant(item: 1))) }
        try await Task.sleep(for: .seconds(2))
        let start = ContinuousClock.now
        task.cancel()
        let error = await #expect(throws: MediaError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        // Undisturbed, it takes minutes.
        #expect(.now - start < .seconds(30))
    }

    @Test func `Without gallery-dl the reason is told`() async {
        let error = await failure("/b/res/1.html", item: 1) { $0.galleryDl.program = "/nonexistent/gallery-dl" }
        #expect(error?.code == .missingProgram && error?.reason == "gallery-dl is not installed here.")
    }

    @Test(arguments: [
        ("[x][error] HttpError: '403 Forbidden' for 'https://a/404'", 4, MediaError.Code.forbidden),
        ("[x][error] HttpError: '403 Not On The Public Internet' for 'http://a/'", 4, .refusedAddress),
        ("[x][error] AuthRequired: authenticated cookies needed", 16, .loginRequired),
        ("[x][error] HttpError: '429 Too Many Requests'", 4, .rateLimited),
        ("[gallery-dl][error] Unsupported URL 'x'", 64, .noPictures),
        ("[x][error] NotFoundError: Requested gallery could not be found", 4, .notFound),
        ("[x][error] ConnectionError: Max retries exceeded", 4, .unreachable), ("strange\u{202E}", 1, .extractorFailed),
        ("", 1, .extractorFailed),
    ])
    func `Errors of gallery-dl have their reasons`(_ line: String, _ status: Int32, _ code: MediaError.Code) {
        let error = GalleryMessage.error([line], status: status)
        #expect(error.code == code && !error.reason.contains("\u{202E}") && !error.reason.contains("://"))
    }
}

/// A web site with galleries, as gallery-dl knows them.
struct PictureBoard {
    let folder: TemporaryFolder
    let site: WebSite

    /// The arguments with which gallery-dl takes the site for an imageboard.
    var arguments: [String] { ["--option", "extractor.vichan.test.root=\(site.url)", "--retries", "1"] }

    init() throws {
        let clips = try Clips.shared.get()
        folder = try TemporaryFolder()
        site = try WebSite(root: folder.path)
        for name in ["b/res", "b/src", "pages"] {
            try FileManager.default.createDirectory(atPath: folder(name), withIntermediateDirectories: true)
        }
        try clips.run("-f lavfi -i color=red:s=120x80 -frames:v 1 \(folder("b/src/p1.png"))")
        try clips.run("-f lavfi -i testsrc=s=320x240 -frames:v 1 \(folder("b/src/p2.jpg"))")
        try clips.run("-f lavfi -i testsrc=s=64x64:d=1:r=5 \(folder("b/src/p3.gif"))")
        try FileManager.default.copyItem(atPath: clips.webm, toPath: folder("b/src/p4.webm"))
        let drawing = #"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#
        for name in ["b/src/p5.svg", "b/src/p6.jpg", "drawing.svg"] { try write(drawing, name) }
        try write("<html>not a picture</html>", "b/src/p7.png")
        try write("<html><body>nothing</body></html>", "pages/text.html")
        try thread(
            1,
            [
                ("p1", ".png", "../../eins\u{202E}gnp"), ("p2", ".jpg", "zwei"), ("p3", ".gif", "drei"),
                ("p4", ".webm", "vier"),
            ])
        try thread(2, [])
        try write("<html></html>", "b/res/3.html")
        try write("[not json", "b/res/3.json")
        try write("<html></html>", "b/res/404.html")
        try thread(5, [("p1", ".png", "eins")])
        try thread(6, [("p5", ".svg", "a"), ("p6", ".jpg", "b"), ("p7", ".png", "c")])
        try thread(7, [("../../chunked/noise", ".bin", "a")])
        try thread(8, [("../../slow/9000/noise", ".bin", "a")])
        try Data((0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7919 >> 3) })
            .write(to: URL(fileURLWithPath: folder("noise.bin")))
        try thread(100_000, (0..<100_000).map { ("n\($0)", ".png", "picture \($0)") })
        try write(#"[{"page": 0, "threads": [{"no": 1}, {"no": 5}]}]"#, "b/threads.json")
        try write("<html></html>", "b/index.html")
    }

    private func write(_ text: String, _ name: String) throws {
        try SmallFile.write(Array(text.utf8), to: folder(name), isDurable: false)
    }

    /// Makes a page with files: their names at the site, their endings, and the names that the site tells.
    func thread(_ number: Int, _ files: [(String, String, String)]) throws {
        let posts = files.enumerated().map { index, file -> JSON in
            .object([
                "no": .integer(Int64(index + 1)), "tim": .string(file.0), "ext": .string(file.1),
                "filename": .string(file.2), "time": 1, "com": "",
            ])
        }
        let head: JSON = .object(["no": 0, "sub": "A thread", "com": "", "time": 1])
        try write(JSON.object(["posts": .array([head] + posts)]).text, "b/res/\(number).json")
        try write("<html></html>", "b/res/\(number).html")
    }
}
