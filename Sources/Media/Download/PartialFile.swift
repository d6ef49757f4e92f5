import JSON
import System
import Crypto
import Glibc
import HTTP

/// What a download has on disk so far: `data.part`, and `part.json` that says of what it is the beginning.
///
/// `@unchecked Sendable`: used by one download, never at two places at once.
final class PartialFile: @unchecked Sendable {
    /// What the server said of the file.
    struct Source: Equatable {
        /// SHA-256 of the URL, which can hold a token.
        var urlHash: String
        var etag: String?
        var lastModified: String?
        var totalBytes: Int64?
        var contentType: String?
        var fileName: String?

        /// The start of the machine in which this was written. After another one, only what was durable is what it was.
        var boot: String?
        var durableBytes: Int64 = 0

        /// What proves that a later answer continues this one (RFC 9110, 13.1.5: a weak ETag does not).
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
    /// Of all that was taken, some of which may be on its way to the file.
    private(set) var size: Int64 = 0
    /// Counts how often the file was started over.
    private(set) var version = 0
    /// Called once a version, when the file can be looked into although it is not whole.
    var onIndex: ((_ version: Int) -> Void)?
    private var index = MovieIndex()

    init(in folder: JobFolder, url: String) throws(MediaError) {
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
    }

    deinit { close(descriptor) }

    /// Whether a later attempt can go on from here.
    var isResumable: Bool { size > 0 && source.validator != nil }

    /// Whether an answer's bytes belong to the same version as those that there are: a server may ignore `If-Range`, and a
    /// file may change without changing its length.
    func isContinued(by head: HTTPHead) -> Bool {
        guard size > 0 else { return true }
        if let known = source.etag, let now = head.headers["ETag"] { return known == now }
        if let known = source.lastModified, let now = head.headers["Last-Modified"] { return known == now }
        return true
    }

    /// Forgets what there is.
    func restart() throws(MediaError) {
        size = 0
        version += 1
        index = MovieIndex()
        try writer.restart()
    }

    /// Notes what is coming now.
    func begin(_ head: HTTPHead, totalBytes: Int64?) throws(MediaError) {
        source.etag = head.headers["ETag"]
        source.lastModified = head.headers["Last-Modified"]
        source.totalBytes = totalBytes
        source.contentType = head.contentType
        source.fileName = FileName.suggested(by: head)
        if head.headers["Accept-Ranges"]?.lowercased() == "none" {
            source.etag = nil
            source.lastModified = nil
        }
        source.boot = MachineStart.current
        source.durableBytes = 0
        try SmallFile.write(saving, to: folder.file("part.json"), isDurable: false)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        try writer.append(bytes)
        size += Int64(bytes.count)
        if index.becomesComplete(in: descriptor, size: writer.writtenBytes) { onIndex?(version) }
    }

    /// Sees that all of it is in the file.
    func flush() throws(MediaError) { try writer.flush() }

    /// Makes what there is last, for a later attempt.
    func settle() async throws(MediaError) {
        _ = try await writer.finish(isDurable: true)
        source.durableBytes = size
        try SmallFile.write(saving, to: folder.file("part.json"))
    }

    /// Waits until all of it is in the file, or on the disk for good; the SHA-256 in hex.
    func finish(isDurable: Bool) async throws(MediaError) -> String {
        try await writer.finish(isDurable: isDurable)
    }

    func remove() {
        unlink(path)
        unlink(folder.file("part.json"))
    }

    /// Bytes that can still be written on this disk.
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
