import JSON
import System
import Crypto
import Glibc
import HTTP

/// Stores a download's progress on disk: the bytes in `data.part`, and in `part.json` the source that they came from.
///
/// `@unchecked Sendable`: used by one download, never by two threads at once.
final class PartialFile: @unchecked Sendable {
    /// Describes the server's file, to tell later whether it is still the same one.
    struct Source: Equatable {
        /// The SHA-256 of the URL; not the URL itself, which can hold a token.
        var urlHash: String
        var etag: String?
        var lastModified: String?
        var totalBytes: Int64?
        var contentType: String?
        var fileName: String?

        /// The machine's start in which the bytes were written. After another start only the durable bytes count.
        var boot: String?
        var durableBytes: Int64 = 0

        /// The validator that proves that a later answer continues this one (RFC 9110, 13.1.5: a weak ETag does not).
        var validator: String? {
            if let etag, !etag.hasPrefix("W/") { return etag }
            return lastModified
        }
    }

    let path: String
    private let folder: JobFolder
    private let descriptor: Int32
    private let writer: HashingWriter
    private(set) var source: Source
    /// The bytes appended so far. Some of them may still be in memory.
    private(set) var size: Int64 = 0
    /// The number of times that the file was started over.
    private(set) var version = 0
    /// Called once for each version, when the file can be probed although it is incomplete.
    var onIndex: ((_ version: Int) -> Void)?
    private var index = MovieIndex()
    /// Takes the bytes until they have to be on the disk; nil if they have to from the start.
    private(set) var stream: StreamedBytes?

    /// - Parameter stream: takes the bytes of a file that need not be on the disk, unless an earlier attempt has left some there.
    init(in folder: JobFolder, url: String, stream: StreamedBytes? = nil) throws(MediaError) {
        self.folder = folder
        path = folder.file("data.part")
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .local("open a file for the download", errno) }
        self.descriptor = descriptor
        writer = HashingWriter(descriptor)
        let urlHash = SHA256.hexDigest(Array(url.utf8))
        source = PartialFile.saved(folder) ?? Source(urlHash: urlHash)
        let end = lseek(descriptor, 0, SEEK_END)
        if source.urlHash == urlHash, source.validator != nil, end >= 0 {
            size = source.boot == MachineStart.current ? Int64(end) : min(Int64(end), source.durableBytes)
            guard ftruncate(descriptor, off_t(size)) == 0 else { throw .local("shorten a file", errno) }
            writer.adopt(size)
        } else {
            source = Source(urlHash: urlHash)
            try restart()
        }
        if size == 0 { self.stream = stream }
    }

    deinit { close(descriptor) }

    /// Is true if a later attempt can continue from here.
    var isResumable: Bool { size > 0 && source.validator != nil }

    /// Returns whether an answer continues the bytes on disk. A server may ignore `If-Range`, and a file may change
    /// without changing its length.
    func isContinued(by head: HTTPHead) -> Bool {
        guard size > 0 else { return true }
        if let known = source.etag, let now = head.headers["ETag"] { return known == now }
        if let known = source.lastModified, let now = head.headers["Last-Modified"] { return known == now }
        return true
    }

    /// Empties the file.
    func restart() throws(MediaError) {
        size = 0
        version += 1
        index = MovieIndex()
        stream?.restart()
        try writer.restart()
    }

    /// Records the source of the bytes that follow.
    func begin(_ head: HTTPHead, totalBytes: Int64?) throws(MediaError) {
        source.etag = head.headers["ETag"]
        source.lastModified = head.headers["Last-Modified"]
        source.totalBytes = totalBytes
        source.contentType = head.contentType
        source.fileName = head.suggestedFileName
        // The ranges of an encoded answer are those of its encoded bytes.
        if head.headers["Accept-Ranges"]?.lowercased() == "none" || head.contentEncoding != nil {
            source.etag = nil
            source.lastModified = nil
        }
        source.boot = MachineStart.current
        source.durableBytes = 0
        try SmallFile.write(saving, to: folder.file("part.json"), isDurable: false)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        size += Int64(bytes.count)
        guard let stream else { return try write(bytes) }
        guard let beginning = try stream.take(bytes, sizeBytes: source.totalBytes) else { return }
        try write(beginning)
    }

    private func write(_ beginning: [UInt8]) throws(MediaError) {
        stream = nil
        try beginning.withUnsafeBytes { bytes in Result { () throws(MediaError) in try write(bytes) } }.get()
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        try writer.append(bytes)
        if index.becomesComplete(in: .file(descriptor), size: writer.writtenBytes) { onIndex?(version) }
    }

    /// Writes the bytes that are still in memory. Those that a stream is taking stay there.
    func flush() throws(MediaError) { try writer.flush() }

    /// Writes the file to the disk if it is over and is not in the stream.
    func settlePlace() throws(MediaError) {
        if let stream, !stream.isStreaming { try write(stream.leave()) }
    }

    /// Is true if the file's own structure says that its end is missing.
    var isCutOff: Bool { stream?.isCutOff() ?? Media.isCutOff(path) }

    /// Makes the bytes so far durable, for a later attempt.
    func settle() async throws(MediaError) {
        _ = try await writer.finish(isDurable: true)
        source.durableBytes = size
        try SmallFile.write(saving, to: folder.file("part.json"))
    }

    /// Waits until the whole file is written.
    ///
    /// - Parameter isDurable: whether to wait until it survives a loss of power.
    /// - Returns: the file's SHA-256 in hex.
    func finish(isDurable: Bool) async throws(MediaError) -> String {
        if let stream { return try await stream.finish() }
        return try await writer.finish(isDurable: isDurable)
    }

    func remove() {
        unlink(path)
        unlink(folder.file("part.json"))
    }

    /// The free bytes of the file system.
    var freeBytes: Int64 {
        var info = statvfs()
        guard fstatvfs(descriptor, &info) == 0 else { return .max }
        return Int64(
            clamping: UInt64(info.f_bavail).multipliedReportingOverflow(by: UInt64(info.f_frsize)).partialValue)
    }

    private var saving: JSONObject {
        [
            "url_sha256": .string(source.urlHash), "etag": source.etag.map { .string($0) },
            "last_modified": source.lastModified.map { .string($0) }, "total": source.totalBytes.map { .integer($0) },
            "content_type": source.contentType.map { .string($0) }, "file_name": source.fileName.map { .string($0) },
            "boot": source.boot.map { .string($0) }, "durable": .integer(source.durableBytes),
        ]
    }

    private static func saved(_ folder: JobFolder) -> Source? {
        guard let saved = SmallFile.read(folder.file("part.json")), let urlHash = saved["url_sha256"]?.string else {
            return nil
        }
        return Source(
            urlHash: urlHash, etag: saved["etag"]?.string, lastModified: saved["last_modified"]?.string,
            totalBytes: saved["total"]?.int, contentType: saved["content_type"]?.string,
            fileName: saved["file_name"]?.string, boot: saved["boot"]?.string, durableBytes: saved["durable"]?.int ?? 0)
    }
}
