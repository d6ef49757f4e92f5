import Crypto
import Foundation
import HTTP
import Synchronization
import TestSupport
import Testing

@testable import Media

/// Collects what a download sends.
private final class Pieces: DownloadStream {
    let taken = Mutex<(pieces: [[UInt8]], begun: Int)>(([], 0))
    private let pieceBytes: Int?
    private let failsAt: Int?
    private let takes: Duration
    let leastBytes: Int

    init(of pieceBytes: Int?, failingAt number: Int? = nil, taking: Duration = .zero, leastBytes: Int = 0) {
        (self.pieceBytes, failsAt, takes, self.leastBytes) = (pieceBytes, number, taking, leastBytes)
    }

    var bytes: [UInt8] { taken.withLock { $0.pieces.flatMap { $0 } } }

    func begin(sizeBytes: Int64?, atMost maxBytes: Int64) async throws(MediaError) -> Int? {
        taken.withLock { $0.begun += 1 }
        return pieceBytes
    }

    func take(_ piece: [UInt8], as number: Int) async throws(MediaError) {
        if number == failsAt { throw .cancelled }
        if takes > .zero { try? await Task.sleep(for: takes) }
        taken.withLock { taken in
            if number == 1 { taken.pieces = [] }
            taken.pieces.append(piece)
        }
    }
}

@Suite struct StreamedBytesTests {
    private let root: TemporaryFolder
    private let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ $0 >> 9) }

    init() throws { root = try TemporaryFolder() }

    private func run(
        _ site: FileSite, _ pieces: Pieces, verdict: StreamedBytes.Verdict = .kept(nil), maxBytes: Int64 = 400_000
    ) async throws -> DownloadedFile? {
        let folder = try #require(
            try JobFolder.tryToOpen(root: root.path, hash: String(repeating: "a", count: 64)))
        defer { folder.unlock() }
        var download = DirectDownload(
            url: site.server.url("/large.bin"), folder: folder, addressPolicy: .any, maxBytes: 10_000_000,
            deadline: .now + .seconds(30), stallTimeout: .seconds(10), firstBackoff: .milliseconds(5))
        download.stream = StreamedBytes(pieces, maxBytes: maxBytes) { _, _ throws(MediaError) in verdict }
        guard case .file(let file) = try await download.run(onProgress: { _ in }) else { return nil }
        return file
    }

    private var bytesOnDisk: Int {
        (FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []).map { name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: root(name))
            return attributes?[.type] as? FileAttributeType == .typeRegular ? attributes?[.size] as? Int ?? 0 : 0
        }.reduce(0, +)
    }

    @Test(arguments: [[], [100_000], [100_000, 3, 70_000]])
    func `A stream gets all bytes in pieces, also when the server breaks off`(_ breaks: [Int]) async throws {
        let site = try FileSite(content) { ($0.type, $0.breaks) = ("application/octet-stream", breaks) }
        let pieces = Pieces(of: 64_000)
        let file = try #require(try await run(site, pieces))
        #expect(file.path.isEmpty && file.sizeBytes == 300_000 && file.sha256 == SHA256.hexDigest(content))
        #expect(pieces.bytes == content)
        #expect(pieces.taken.withLock { $0.pieces.dropLast().allSatisfy { $0.count == 64_000 } })
        #expect(pieces.taken.withLock { $0.begun } == 1)
        #expect(bytesOnDisk < 2000)
    }

    @Test func `A server that cannot go on begins anew`() async throws {
        let site = try FileSite(content) {
            ($0.type, $0.breaks, $0.acceptsRanges) = ("application/octet-stream", [150_000], false)
        }
        let pieces = Pieces(of: 64_000)
        let file = try #require(try await run(site, pieces))
        #expect(pieces.bytes == content && file.sha256 == SHA256.hexDigest(content))
    }

    @Test func `A download that begins anew while the stream takes a piece stays in the stream`() async throws {
        let site = try FileSite(content) {
            ($0.type, $0.breaks, $0.acceptsRanges) = ("application/octet-stream", [70_000], false)
        }
        let pieces = Pieces(of: 64_000, taking: .seconds(2))
        let file = try #require(try await run(site, pieces))
        #expect(file.path.isEmpty && pieces.bytes == content && file.sha256 == SHA256.hexDigest(content))
    }

    @Test func `A file that is too small for a stream is not announced to it`() async throws {
        for (leastBytes, isStreamed) in [(299_999, true), (300_000, false)] {
            let site = try FileSite(content) { $0.type = "application/octet-stream" }
            let pieces = Pieces(of: 64_000, leastBytes: leastBytes)
            let file = try #require(try await run(site, pieces))
            #expect(file.path.isEmpty == isStreamed && pieces.taken.withLock { $0.begun } == (isStreamed ? 1 : 0))
            #expect(isStreamed ? pieces.bytes == content : pieces.bytes.isEmpty)
            if !isStreamed { try FileManager.default.removeItem(atPath: file.path) }
        }
    }

    @Test func `A file that has to be changed, or that the stream cannot take, is on the disk`() async throws {
        for (verdict, pieceBytes) in [(StreamedBytes.Verdict.needsDisk, 64_000 as Int?), (.kept(nil), nil)] {
            let site = try FileSite(content) { ($0.type, $0.breaks) = ("application/octet-stream", [90_000]) }
            let pieces = Pieces(of: pieceBytes)
            let file = try #require(try await run(site, pieces, verdict: verdict))
            #expect(SmallFile.readBytes(file.path, maxBytes: 400_000) == content)
            #expect(file.sha256 == SHA256.hexDigest(content) && pieces.bytes.isEmpty)
            try FileManager.default.removeItem(atPath: file.path)
        }
    }

    @Test func `A file that is shorter than its beginning is on the disk`() async throws {
        let site = try FileSite(Array(content[..<1000])) { $0.type = "application/octet-stream" }
        let pieces = Pieces(of: 64_000)
        let file = try #require(try await run(site, pieces))
        #expect(SmallFile.readBytes(file.path, maxBytes: 2000)?.count == 1000 && pieces.bytes.isEmpty)
    }

    @Test func `A failure of the stream and a limit end the download`() async throws {
        let site = try FileSite(content) { $0.type = "application/octet-stream" }
        await #expect { _ = try await run(site, Pieces(of: 64_000, failingAt: 3)) } throws: {
            ($0 as? MediaError)?.code == .cancelled
        }
        await #expect { _ = try await run(site, Pieces(of: 64_000), maxBytes: 200_000) } throws: {
            ($0 as? MediaError)?.code == .tooLarge
        }
        #expect(bytesOnDisk < 2000)
    }

    /// A box: its size, its name, and a body of zeroes.
    private func box(_ name: String, _ size: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(size).bigEndian) { Array($0) } + Array(name.utf8)
            + [UInt8](repeating: 0, count: size - 8)
    }

    @Test func `A walk finds the missing end of a file whatever the lengths of its boxes and pieces`() throws {
        let movie =
            box("ftyp", 24) + box("free", 8) + box("free", 9) + box("moov", 100) + box("free", 8) + box("mdat", 500)
        for step in [1, 3, 7, 8, 16, 40, 1000] {
            for missing in [0, 1, 499] {
                let bytes = Array(movie.dropLast(missing))
                var walk = MovieWalk()
                for start in stride(from: 0, to: bytes.count, by: step) {
                    bytes[start..<min(start + step, bytes.count)].withUnsafeBytes { walk.pass($0, at: Int64(start)) }
                }
                try Data(bytes).write(to: URL(filePath: root("movie")))
                let isCutOff = walk.isCutOff(at: Int64(bytes.count))
                #expect(isCutOff == (missing > 0) || missing == 499, "\(step) \(missing)")
                #expect(isCutOff == MovieLayout(ofFile: root("movie"))?.isCutOff, "\(step) \(missing)")
            }
        }
    }
}
