import Envelope
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

        /// What proves that a later answer continues this one (RFC 9110, 13.1.5: a weak ETag does not).
        var validator: String? {
            if let etag, !etag.hasPrefix("W/") { return etag }
            return lastModified
        }
    }

    let path: String
    let hasher: FileHasher
    private let folder: JobFolder
    private let descriptor: Int32
    private(set) var source: Source
    private(set) var size: Int64 = 0

    init(in folder: JobFolder, url: String) throws(MediaError) {
        self.folder = folder
        path = folder.file("data.part")
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .local("open a file for the download", errno) }
        self.descriptor = descriptor
        hasher = FileHasher(descriptor)
        let urlHash = SHA256.hex(of: Array(url.utf8))
        source = PartialFile.saved(folder) ?? Source(urlHash: urlHash)
        let end = lseek(descriptor, 0, SEEK_END)
        if source.urlHash == urlHash, source.validator != nil, end >= 0 {
            size = Int64(end)
            hasher.advance(to: size)
        } else {
            source = Source(urlHash: urlHash)
            try restart()
        }
    }

    deinit { close(descriptor) }

    /// Whether a later attempt can go on from here.
    var isResumable: Bool { size > 0 && source.validator != nil }

    /// Forgets what there is.
    func restart() throws(MediaError) {
        guard ftruncate(descriptor, 0) == 0 else { throw .local("empty a file", errno) }
        lseek(descriptor, 0, SEEK_SET)
        size = 0
        hasher.restart()
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
        try SmallFile.write(saving, to: folder.file("part.json"))
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        let failure = writeAll(descriptor, bytes)
        guard failure == 0 else { throw .local("write the download", failure) }
        size += Int64(bytes.count)
        hasher.advance(to: size)
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
        ]
    }

    private static func saved(_ folder: JobFolder) -> Source? {
        guard let saved = SmallFile.read(folder.file("part.json")), let urlHash = saved["url_sha256"]?.string else {
            return nil
        }
        return Source(
            urlHash: urlHash, etag: saved["etag"]?.string, lastModified: saved["last_modified"]?.string,
            totalBytes: saved["total"]?.int, contentType: saved["content_type"]?.string,
            fileName: saved["file_name"]?.string)
    }
}
