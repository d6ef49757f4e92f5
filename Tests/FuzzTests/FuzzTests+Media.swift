import BotAPI
import ChatCommands
import Glibc
import HTTP
import JSON
import Payloads
import System
import TestSupport
import Testing

@testable import Media
@testable import tg_gate

/// Feeds what strangers choose: links, messages, files, and what a hostile yt-dlp says.
extension FuzzTests {
    @Test func `Links`() {
        let links = [
            "https://www.youtube.com/watch?v=aaaaaaaaaaa&list=x&t=30#t=1", "https://vimeo.com/12345/abcdef0123?h=1",
            "http://user:p%40ss@[2001:db8::1]:8080/a/../%7Eb/%2e%2E?utm_source=a&b=%zz&b=1#!/x",
            "https://vk.com/x?z=video-1_2%2Fa",
            "https://www.pinterest.co.uk/pin/a-title--123/", "https://xn--bcher-kva.example/%F0%9F%90%88?q=a+b",
        ]
        feed(links) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            guard let identity = SourceIdentity(text) else { return false }
            // The key of what is fetched is the key of the link.
            #expect(SourceIdentity(identity.fetchURL)?.normalizedURL == identity.normalizedURL, "\(text)")
            #expect(SourceIdentity(identity.normalizedURL)?.normalizedURL == identity.normalizedURL, "\(text)")
            return true
        }
    }

    @Test func `Messages with commands`() {
        let message = """
            {"message_id":5,"chat":{"id":-100,"type":"supergroup"},"from":{"id":42},"text":".vdl 🎬 https://a.example/b","entities":[\
            {"type":"url","offset":8,"length":19},{"type":"text_mention","offset":0,"length":4,"user":{"id":7}}],"quote":{"text":"https://a","position":2},\
            "reply_to_message":{"message_id":4,"chat":{"id":-100},"text":"x https://a.example/c","entities":[{"type":"url","offset":2,"length":19}]},\
            "external_reply":{"video":{"file_id":"a","file_unique_id":"b","file_size":9}}}
            """
        let texts = [".bless @name 30d", ".vdl? 1:30.5-2:45 720p", "/adl@bot opus pt-BR-subs -0:30"]
        feed([message] + texts.map { message.replacing(".vdl", with: $0) }) { bytes in
            guard let json = try? JSON(parsing: bytes), let message = Message(json),
                let command = message.text.flatMap({ WrittenCommand($0, bot: nil) })
            else { return false }
            _ = (
                MediaSource.find(in: message, command), MediaSource.onlyLink(of: message),
                MediaWish(command).variant.json, try? AccessCommand(command, in: message), Party(authorOf: json)
            )
            return true
        }
    }

    @Test func `Boxes of MP4 and Matroska files`() throws {
        func box(_ name: String, _ content: [UInt8], size: Int? = nil) -> [UInt8] {
            let size = UInt32(size ?? content.count + 8)
            return (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } + Array(name.utf8) + content
        }
        let long = box("mdat", [0, 0, 0, 0, 0, 0, 0, 24] + [UInt8](repeating: 0, count: 8), size: 1)
        let moov = box("moov", box("mvhd", [1, 2, 3]) + box("trak", []) + box("mvex", []))
        let matroska: [UInt8] = [
            0x1A, 0x45, 0xDF, 0xA3, 0x84, 1, 2, 3, 4, 0x18, 0x53, 0x80, 0x67, 0x01, 0, 0, 0, 0, 0, 0, 9,
        ]
        let samples = [
            box("ftyp", Array("isom".utf8)) + moov + long, box("ftyp", []) + long + moov,
            box("moov", []) + box("mdat", [], size: 0),
            matroska,
        ]
        let folder = try TemporaryFolder()
        let file = open(folder("movie"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        feed(samples) { bytes in
            // A file that is truncated to nothing first would be written to the disk each time that it is closed.
            #expect(lseek(file, 0, SEEK_SET) == 0 && bytes.withUnsafeBytes { writeAll(file, $0) } == 0)
            #expect(ftruncate(file, bytes.count) == 0)
            var index = MovieIndex()
            _ = index.becomesComplete(in: .file(file), size: Int64(bytes.count))
            _ = index.becomesComplete(in: .file(file), size: .max)
            // What passes by in pieces is judged as a file is.
            var walk = MovieWalk()
            for start in stride(from: 0, to: bytes.count, by: 11) {
                bytes[start..<min(start + 11, bytes.count)].withUnsafeBytes { walk.pass($0, at: Int64(start)) }
            }
            #expect(
                walk.isCutOff(at: Int64(bytes.count)) == (MovieLayout(ofFile: folder("movie"))?.isCutOff ?? false))
            return MovieLayout(ofFile: folder("movie")) != nil || MatroskaLayout(ofFile: folder("movie")) != nil
        }
    }

    @Test func `What a hostile yt-dlp describes and reports`() throws {
        let info = """
            {"id":"a","extractor_key":"Youtube","title":"x","duration":7.5,"webpage_url":"https://youtu.be/aaaaaaaaaaa","live_status":"not_live",\
            "requested_formats":[{"filesize":9223372036854775800},{"filesize_approx":1e18}],"_type":"playlist","playlist_count":1,"entries":[{"id":"b","filesize":5}]}
            """
        let lines = [
            #"tgpipe-progress {"status":"downloading","downloaded_bytes":1024,"total_bytes":4096,"speed":10.5} 137"#,
            #"tgpipe-progress {"downloaded_bytes":9223372036854775807,"total_bytes_estimate":1e300} 140"#,
            #"tgpipe-path "media.mp4""#,
        ]
        feed([info, info.replacing("_type", with: "t")]) { bytes in
            guard let object = try? JSON(parsing: bytes).object else { return false }
            do throws(MediaError) { return try VideoInfo(object).estimatedBytes.map { $0 >= 0 } ?? true } catch {
                return [.live, .playlist, .noMedia].contains(error.code)
            }
        }
        let known = try VideoInfo(["id": "a"])
        feed(lines) { bytes in
            var progress = YtDlpProgress(info: known, maxBytes: 1 << 20)
            let line = String(decoding: bytes, as: UTF8.self)
            let report = (progress.take(line), progress.take(lines[1]), progress.take(line)).2
            if let fraction = report?.fraction { #expect((0...1).contains(fraction)) }
            return report != nil || progress.path != nil
        }
    }

    @Test func `Requests to the guard`() {
        let heads = [
            "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\nProxy-Authorization: Basic dGdwaXBl",
            "GET http://user@example.com:8080/a?b#c HTTP/1.0\r\nProxy-Connection: keep-alive\r\nA: b",
        ]
        feed(heads) { bytes in
            guard let request = ProxyRequest(String(decoding: bytes, as: UTF8.self), [1]) else { return false }
            _ = (request.authorization, request.forwardedHead)
            if let target = request.target { #expect((0...65_535).contains(target.port)) }
            return request.target != nil
        }
    }
}
