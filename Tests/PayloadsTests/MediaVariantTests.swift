import Envelope
import JSON
import Payloads
import Testing

@Suite struct MediaVariantTests {
    private func download(_ variant: String, _ kind: MediaKind = .video) throws -> MediaDownload {
        let payload: JSONObject = ["url": "https://a.example/", "variant": try JSON(parsing: variant)]
        return try MediaDownload(payload, type: MediaDownload.type(of: kind))
    }

    @Test(arguments: [
        #"{"height":720,"subtitles":"en","start_seconds":90,"end_seconds":165.5}"#, #"{"start_seconds":3600}"#,
    ])
    func `A variant is written as it was read`(_ text: String) throws {
        #expect(try download(text).variant.json?.text == text)
    }

    @Test(arguments: [
        "7", #""best""#, #"{"height":"720"}"#, #"{"height":1}"#, #"{"height":99999999999}"#, #"{"audio_format":"exe"}"#,
        #"{"subtitles":".*"}"#, #"{"subtitles":"--exec"}"#, #"{"start_seconds":-1}"#, #"{"start_seconds":1e300}"#,
        #"{"item":1,"item_id":"ABCDEF00112233445566778899aabbcc"}"#, #"{"item":1,"item_id":"00"}"#,
        #"{"item_id":"00112233445566778899aabbccddeeff"}"#, #"{"item":1,"item_id":7}"#, #"{"end_seconds":0}"#,
        #"{"start_seconds":5,"end_seconds":5}"#, #"{"start_seconds":9,"end_seconds":"x"}"#,
    ])
    func `A variant that cannot be meant is refused`(_ text: String) {
        #expect(throws: MalformedInput.self) { try download(text) }
    }

    @Test func `What has no effect on a kind is left out, so that equal results have one address`() throws {
        #expect(try download(#"{"audio_format":"opus"}"#).variant.isStandard)
        #expect(try download(#"{"audio_format":"mp3","height":720,"subtitles":"en"}"#, .audio).variant.isStandard)
        #expect(try download(#"{"audio_format":"opus"}"#, .audio).variant.canonical == "audio=opus")
        #expect(try download(#"{"subtitles":"pt-BR"}"#).variant.canonical == "subtitles=pt-br")
        #expect(
            try download(#"{"height":720,"start_seconds":1.5}"#).variant.canonical == "height=720;cut=1500-")
    }

    @Test func `The name of a gallery's file takes the place of its place in the address, and only of pictures`() throws
    {
        let id = "00112233445566778899aabbccddeeff"
        let text = #"{"item":3,"item_id":"\#(id)"}"#
        #expect(try download(text, .image).variant.json?.text == text)
        #expect(try download(text, .image).variant.canonical == "file=\(id)")
        #expect(try download(text, .video).variant.canonical == "item=3")
        #expect(try download(#"{"item":3}"#, .image).variant.canonical == "item=3")
    }

    @Test(arguments: [
        ("https://a.example/1.jpg", true), ("file:///etc/passwd", false), ("ytdl:https://a.example/", false),
        ("https://a.example/\(String(repeating: "x", count: 5000))", false), ("http://a b", false),
    ])
    func `Only a web link is the URL of a gallery's file`(_ url: String, _ isOne: Bool) throws {
        let payload: JSONObject = [
            "url": "https://a.example/", "picture": ["url": .string(url), "performer": "Ann"],
        ]
        let type = MediaDownload.type(of: .image)
        let download = try MediaDownload(payload, type: type)
        #expect(download.picture == (isOne ? GalleryFile(url: url, performer: "Ann") : nil))
        #expect(try MediaDownload(download.json, type: type).picture == download.picture)
        #expect(try MediaDownload(payload, type: MediaDownload.type(of: .video)).picture == nil)
    }

    @Test func `A large download keeps the variant`() throws {
        let variant = MediaVariant(maxHeight: 480)
        let large = LargeDownload(
            kind: .video, source: .url("https://a.example/"), variant: variant, sizeBytes: 1, limitBytes: 1)
        #expect(try LargeDownload(large.json, type: LargeDownload.type).variant == variant)
    }
}
