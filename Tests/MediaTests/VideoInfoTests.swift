import JSON
import Payloads
import Testing

@testable import Media

@Suite struct VideoInfoTests {
    private func info(_ text: String) throws -> VideoInfo {
        var text = text
        let json = try text.withUTF8 { try JSONParser().parse(UnsafeRawBufferPointer($0)) }
        return try VideoInfo(try #require(json.object))
    }

    @Test func `Title, performer, duration and sizes of the chosen formats are read`() throws {
        let info = try info(
            """
            {"_type": "video", "title": " A\\ttitle\\n", "uploader": "Someone", "duration": 12.5, "live_status": "was_live",
             "webpage_url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "filesize": 5,
             "requested_formats": [{"filesize": 1000, "protocol": "https"}, {"filesize_approx": 500.4}]}
            """)
        #expect(info.title == "A title")
        #expect(info.performer == "Someone")
        #expect(info.durationSeconds == 12.5)
        #expect(info.estimatedBytes == 1500)
        #expect(info.tolerance > 1)
    }

    @Test func `The size is known only when every part has one`() throws {
        #expect(try info(#"{"requested_formats": [{"filesize": 1}, {}]}"#).estimatedBytes == nil)
        #expect(try info(#"{"filesize": 7}"#).estimatedBytes == 7)
        let most = #"{"filesize": 9223372036854775807}"#
        #expect(try info("{\"requested_formats\": [\(most), \(most)]}").estimatedBytes == .max)
        #expect(try info(#"{"filesize": 7}"#).tolerance == 1)
        #expect(try info("{}").estimatedBytes == nil)
    }

    @Test func `A page with one video is fetched as that video`() throws {
        #expect(try info(#"{"_type": "playlist", "entries": [{"title": "x"}]}"#).title == "x")
        let nested = #"{"_type": "playlist", "entries": [{"_type": "multi_video", "entries": [{"title": "y"}]}]}"#
        #expect(try info(nested).title == "y")
    }

    @Test(arguments: [
        (#"{"_type": "playlist", "entries": [{"title": "x"}, {"title": "y"}]}"#, MediaError.Code.playlist),
        (#"{"_type": "playlist", "entries": [{"title": "x"}], "playlist_count": 30}"#, .playlist),
        (#"{"_type": "playlist", "entries": []}"#, .noMedia), (#"{"is_live": true}"#, .live),
        (#"{"live_status": "is_live"}"#, .live), (#"{"live_status": "is_upcoming"}"#, .live),
    ])
    func `A page that is not exactly one video is refused with a reason`(text: String, code: MediaError.Code) {
        let error = #expect(throws: MediaError.self) { try info(text) }
        #expect(error?.code == code)
    }

    @Test func `Progress of formats downloaded in sequence adds up`() throws {
        let info = try info(#"{"title": "T", "requested_formats": [{"filesize": 800}, {"filesize": 200}]}"#)
        var progress = YtDlpProgress(info: info)
        func line(_ bytes: Int, _ format: String) -> String {
            #"tgpipe-progress {"status": "downloading", "downloaded_bytes": \#(bytes), "total_bytes": 800, "speed": 10.5} \#(format)"#
        }
        #expect(progress.take(line(400, "137"))?.fraction == 0.4)
        #expect(progress.take(line(800, "137"))?.doneBytes == 800)
        let last = progress.take(line(100, "140"))
        #expect(last?.doneBytes == 900)
        #expect(last?.totalBytes == 1000)
        #expect(last?.bytesPerSecond?.double == 10.5)
        #expect(last?.title == "T")
        #expect(progress.take("[download] Destination: media.mp4") == nil)
        #expect(progress.take("tgpipe-progress {broken} 1") == nil)
        #expect(progress.take(#"tgpipe-path "/tmp/\u00e4 b/media.mp4""#) == nil)
        #expect(progress.path == "/tmp/ä b/media.mp4")
        _ = progress.take("[download] File is larger than max-filesize (26526 bytes > 5000 bytes). Aborting.")
        #expect(progress.wasTooLarge)
    }

    @Test func `A size over the limit is noted as soon as it is certain`() throws {
        func excess(_ line: String, maxBytes: Int64 = 1000) throws -> Int64? {
            var progress = YtDlpProgress(info: try info("{}"), maxBytes: maxBytes)
            _ = progress.take("tgpipe-progress \(line) 1")
            return progress.excessBytes
        }
        #expect(try excess(#"{"downloaded_bytes": 1, "total_bytes": 1001}"#) == 1001)
        #expect(try excess(#"{"downloaded_bytes": 1, "total_bytes": 1000}"#) == nil)
        #expect(try excess(#"{"downloaded_bytes": 1, "total_bytes_estimate": 9000.0}"#) == nil)
        #expect(try excess(#"{"downloaded_bytes": 101, "total_bytes_estimate": 9000.0}"#) == 9000)
        #expect(try excess(#"{"downloaded_bytes": 101, "total_bytes_estimate": 1900.0}"#) == nil)
        #expect(try excess(#"{"downloaded_bytes": 1001}"#) == 1001)
        #expect(try excess(#"{"downloaded_bytes": 9223372036854775807}"#, maxBytes: .max) == nil)
    }

    @Test func `The only video of a page loses its number`() throws {
        #expect(try VideoInfo(["extractor": "html5", "title": "A clip (1)"]).title == "A clip")
        #expect(try VideoInfo(["extractor": "youtube", "title": "A clip (1)"]).title == "A clip (1)")
        #expect(try VideoInfo(["extractor": "html5", "title": " (1)"]).title == nil)
    }
}
