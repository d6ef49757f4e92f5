import Accounts
import BotAPI
import HTTP
import JSON
import Testing

@testable import AccountAPI

@Suite struct OutgoingMediaTests {
    private func upload(_ field: String, _ type: String = "application/octet-stream") -> MediaUpload {
        MediaUpload(
            field: field, fileName: "a.bin", contentType: type,
            content: FileRange(descriptor: -1, offset: 0, count: 0), path: "/a.bin", key: "a")
    }

    private func uploaded(_ field: String, _ parameters: JSONObject) -> JSON {
        OutgoingMedia(uploaded: ["_": "inputFile"], upload(field), parameters).json
    }

    private func attributes(_ media: JSON) -> [String] {
        (media["attributes"]?.array ?? []).compactMap { $0["_"]?.string }
    }

    @Test(arguments: [("photo", "inputMediaPhotoExternal"), ("video", "inputMediaDocumentExternal")])
    func `Telegram downloads media from a URL`(_ field: String, _ name: String) throws {
        let media = try OutgoingMedia(field, [field: "https://example.org/a"])
        #expect(media.json["_"] == .string(name) && media.json["url"] == "https://example.org/a")
        #expect(media.fileID == nil)
    }

    @Test(arguments: [AccountFileID.Kind.video, .photo])
    func `A file_id of the account names a file that Telegram has`(_ kind: AccountFileID.Kind) throws {
        let id = AccountFileID(
            kind: kind, id: 5, accessHash: 6, fileReference: "AAAA", dataCenter: 2, sizeBytes: nil, origin: nil)
        let media = try OutgoingMedia("video", ["video": .string(id.text)])
        #expect(media.fileID == id)
        #expect(media.json["_"] == (kind == .photo ? "inputMediaPhoto" : "inputMediaDocument"))
    }

    @Test(arguments: ["BAACAgIAAxkBAAM", "", "ftp://example.org/a", String(repeating: "A", count: 10_000)])
    func `Another file_id is refused`(_ text: String) {
        let error = #expect(throws: TelegramError.self) { try OutgoingMedia("video", ["video": .string(text)]) }
        #expect(error?.code == .fileRefused)
    }

    @Test func `An uploaded video has its size and length`() {
        let media = uploaded("video", ["duration": 3, "width": 320, "height": 240, "supports_streaming": true])
        #expect(attributes(media) == ["documentAttributeVideo", "documentAttributeFilename"])
        let video = media["attributes"]?.array?.first
        #expect(video?["duration"] == 3 && video?["w"] == 320 && video?["h"] == 240)
        #expect(video?["supports_streaming"] == true)
        #expect(media["force_file"] == nil)
    }

    @Test func `An uploaded video without details has zeros, which Telegram requires`() {
        let video = uploaded("video", [:])["attributes"]?.array?.first
        #expect(video?["duration"] == 0 && video?["w"] == 0 && video?["h"] == 0)
    }

    @Test func `Each kind of file has its attributes`() {
        #expect(
            attributes(uploaded("animation", [:]))
                == ["documentAttributeVideo", "documentAttributeAnimated", "documentAttributeFilename"])
        #expect(attributes(uploaded("document", [:])) == ["documentAttributeFilename"])
        #expect(uploaded("document", [:])["force_file"] == true)
        let audio = uploaded("audio", ["duration": 5, "title": "t", "performer": "p"])
        #expect(audio["attributes"]?.array?.first?["title"] == "t")
        #expect(audio["attributes"]?.array?.first?["voice"] == nil)
        #expect(uploaded("voice", [:])["attributes"]?.array?.first?["voice"] == true)
        #expect(uploaded("photo", [:]) == ["_": "inputMediaUploadedPhoto", "file": ["_": "inputFile"]])
    }
}
