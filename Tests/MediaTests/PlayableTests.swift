import Foundation
import Glibc
import HTTP
import Payloads
import TestSupport
import Testing

@testable import Media

/// Checks that what is delivered as a video plays in Telegram's apps, and has the size that they are told.
@Suite struct PlayableTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let picture = "-f lavfi -i testsrc=size=160x120:rate=10:duration=1 -f lavfi -i sine=d=1"

    /// Makes a file, and fetches it as a local file of a request.
    private func fetch(_ name: String, _ options: String, picture: String = picture) async throws -> MediaFetched {
        try Clips.shared.get().run("\(picture) -shortest \(options) \(folder(name))")
        return try await fetch(name)
    }

    private func fetch(_ name: String, _ kind: MediaKind = .video) async throws -> MediaFetched {
        let identity = SourceIdentity.telegramFile(uniqueID: name)
        let job = MediaJob(kind, identity, origin: .local(path: folder(name)), fileName: name)
        return try await MediaFetcher(MediaSettings(directory: folder("jobs"))).fetch(job)
    }

    private func expectPlayable(_ media: MediaFetched, _ videoCodec: String = "h264") async throws {
        let product = try #require(try await probe(media.path))
        #expect(product.isPlayable, "\(product)")
        #expect(product.videoCodec == videoCodec)
        #expect(MovieLayout(ofFile: media.path)?.hasIndexAtEnd == false)
        #expect(media.metadata.content.contentType == "video/mp4")
        #expect(media.metadata.fileName?.hasSuffix(".mp4") == true)
        #expect(media.metadata.description.width == product.width.map { Int64($0) })
        #expect(media.metadata.description.height == product.height.map { Int64($0) })
    }

    @Test(arguments: [
        ("prores.mov", "-c:v prores_ks -c:a pcm_s16le"), ("quicktime.mov", "-c:v libx264 -pix_fmt yuv420p -c:a aac"),
        ("quicktime.mp4", "-c:v libx264 -pix_fmt yuv420p -c:a aac -f mov"),
        ("deep.mp4", "-c:v libx264 -pix_fmt yuv420p10le -c:a aac"),
        ("deep.mkv", "-c:v libx264 -pix_fmt yuv420p10le -c:a aac"),
        ("wide.mp4", "-c:v libx264 -pix_fmt yuv444p -c:a aac"), ("old.avi", "-c:v mpeg4 -c:a mp3"),
        ("old.mp4", "-c:v mpeg4 -c:a aac"), ("tail.mp4", "-c:v libx264 -pix_fmt yuv420p -c:a aac"),
        ("surround.mp4", "-c:v libx264 -pix_fmt yuv420p -c:a ac3"),
        ("stream.ts", "-c:v libx264 -pix_fmt yuv420p -c:a aac"),
        ("odd.mkv", "-vf scale=161:121 -c:v ffv1 -c:a aac"),
    ])
    func `A video in any form becomes one that plays everywhere`(name: String, options: String) async throws {
        try await expectPlayable(try await fetch(name, options))
    }

    @Test(arguments: ["hevc.mkv", "hevc.mp4"])
    func `HEVC gets the name by which Apple's players know it`(name: String) async throws {
        let media = try await fetch(name, "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p -c:a aac")
        try await expectPlayable(media, "hevc")
        #expect(try await probe(media.path)?.videoTag == "hvc1")
    }

    @Test func `A video that plays is not touched`() async throws {
        let media = try await fetch("good.mp4", "-c:v libx264 -pix_fmt yuv420p -c:a aac -movflags +faststart")
        let before = SmallFile.readBytes(folder("good.mp4"), maxBytes: 1 << 24)
        #expect(SmallFile.readBytes(media.path, maxBytes: 1 << 24) == before)
    }

    @Test func `The size is the one shown, with the pixels' shape and the rotation`() async throws {
        let options = "-c:v libx264 -pix_fmt yuv420p -c:a aac -movflags +faststart"
        let wide = try await fetch("wide.mp4", "-vf scale=180:144,setsar=64/45 \(options)")
        #expect(wide.metadata.description.width == 256 && wide.metadata.description.height == 144)
        try Self.turned(SmallFile.readBytes(folder("wide.mp4"), maxBytes: 1 << 24) ?? [])
            .write(to: URL(filePath: folder("turned.mp4")))
        let turned = try await fetch("turned.mp4")
        #expect(turned.metadata.description.width == 144 && turned.metadata.description.height == 256)
    }

    /// Returns an mp4 file whose first track, the picture, is turned by 90 degrees. The versions of ffmpeg have different options for it.
    private static func turned(_ file: [UInt8]) throws -> Data {
        var file = Data(file)
        let header = try #require(file.firstRange(of: Data("tkhd".utf8)))
        // The matrix stands behind 40 bytes of a header of version 0, in fixed point with 16 bits, the last column with 30.
        #expect(file[header.upperBound] == 0)
        let matrix: [UInt32] = [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000]
        let bytes = matrix.flatMap { number in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }
        file.replaceSubrange((header.upperBound + 40)..<(header.upperBound + 76), with: bytes)
        return file
    }

    @Test(arguments: ["8:0", "0:1", "1000:1", "1:1000", "x", "99999999999999999999:1"])
    func `An impossible shape of the pixels is ignored`(shape: String) throws {
        let probe = MediaProbe(
            json:
                #"{"streams": [{"codec_type": "video", "width": 160, "height": 120, "sample_aspect_ratio": "\#(shape)"}]}"#
        )
        #expect(probe?.width == 160 && probe?.height == 120)
    }

    @Test func `A file whose end is missing is an error`() async throws {
        let whole = try #require(SmallFile.readBytes(Clips.shared.get().mp4, maxBytes: 1 << 24))
        try SmallFile.write(Array(whole.prefix(whole.count / 2)), to: folder("cut.mp4"))
        for kind in MediaKind.allCases {
            let error = await #expect(throws: MediaError.self) { try await fetch("cut.mp4", kind) }
            #expect(error?.code == .truncated && error?.isTransient == false)
        }
    }

    @Test(arguments: [
        ("a.mp3", "-c:a libmp3lame", "audio/mpeg", "a.mp3"), ("a.m4a", "-c:a aac", "audio/mp4", "a.m4a"),
        ("voice", "-c:a libopus -f ogg", "audio/ogg", "voice.ogg"),
        ("voice.oga", "-c:a libopus -f ogg", "audio/ogg", "voice.oga"),
        ("song", "-c:a libmp3lame -f mp3", "audio/mpeg", "song.mp3"), ("a.wav", "-c:a pcm_s16le", "audio/wav", "a.wav"),
    ])
    func `A sound file is named and typed as one, whatever the server calls it`(
        name: String, options: String, type: String, fileName: String
    ) async throws {
        let media = try await fetch(name, "-vn \(options)", picture: "-f lavfi -i sine=d=1")
        #expect(media.metadata.content.contentType == type)
        #expect(media.metadata.fileName == fileName)
    }

    @Test func `A local file that is not there is not an empty one`() async throws {
        let error = await #expect(throws: MediaError.self) { try await fetch("nothing.mp4") }
        #expect(error?.code == .localIO)
        #expect(error?.reason.contains("No such file") == true)
        #expect(error?.reason.contains(folder.path) == false)
    }
}
