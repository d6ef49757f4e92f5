import Glibc
import JSON
import System

/// Stores objects in a folder: an object is the file at its key's path, and its metadata is a sidecar in
/// `.tgpipe/meta`.
///
/// Both are written under temporary names and published under a lock that all processes share, the sidecar first. A
/// reader that sees an object therefore sees its metadata too.
struct FileStore: BlobStore {
    let root: String

    var name: String { "file:\(root)" }

    /// A file that is complete gets its name here without being copied.
    var uploads: UploadArea? { nil }

    private var lock: FileLock { FileLock(path: "\(root)/\(FileStore.ownFolder)/lock") }

    /// The folder within the store's folder that holds no objects.
    static let ownFolder = ".tgpipe"

    func localPath(_ key: String) -> String? {
        do throws(BlobError) { try FileStore.check(key) } catch { return nil }
        return "\(root)/\(key)"
    }

    func head(_ key: String) async throws(BlobError) -> BlobInfo? {
        try FileStore.check(key)
        return try await onOwnThread { (_) throws(BlobError) in
            try lock.shared { () throws(BlobError) in try info(key) }
        }
    }

    func put(
        _ source: LocalFile, key: String, metadata: BlobMetadata, sha256: String?, ifAbsent: Bool,
        onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> PutOutcome {
        try FileStore.check(key)
        // One store can replace the other, so metadata that S3 would refuse is refused here too.
        _ = try MetadataHeaders.headers(for: metadata)
        let outcome = try await onOwnThread { (cancellation) throws(BlobError) in
            if ifAbsent, let info = try info(key) { return PutOutcome.existed(info) }
            let found = try source.sha256(cancellation)
            guard sha256 == nil || sha256 == found else { throw BlobError.changed(source) }
            var metadata = metadata
            metadata.user[BlobMetadata.sha256Name] = found
            return try store(source, key, metadata, ifAbsent, cancellation)
        }
        onProgress?(source.sizeBytes)
        return outcome
    }

    func get(
        _ key: String, to path: String, onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> BlobInfo {
        try FileStore.check(key)
        let info = try await onOwnThread { (cancellation) throws(BlobError) -> BlobInfo in
            let (object, info) = try lock.shared { () throws(BlobError) in try openObject(key) }
            let copy = try TemporaryObject(in: parentFolder(path))
            try copy.copy(object, cancellation)
            let found = try object.sha256(cancellation)
            guard found == info.metadata.sha256 ?? found else { throw BlobError.damaged(key, in: name) }
            try copy.publish(as: path)
            return info
        }
        onProgress?(info.sizeBytes)
        return info
    }

    func presignedURL(
        _ key: String, expires: Duration, contentType: String?, fileName: String?
    ) throws(BlobError) -> String? { nil }

    func delete(_ key: String) async throws(BlobError) {
        try FileStore.check(key)
        try await onOwnThread { (_) throws(BlobError) -> Void in
            try lock.exclusive { () throws(BlobError) -> Void in
                for path in ["\(root)/\(key)", sidecarPath(key)] where unlink(path) != 0 && errno != ENOENT {
                    throw BlobError.system("unable to remove \(path)")
                }
            }
        }
    }

    private static func check(_ key: String) throws(BlobError) {
        try ObjectKey.check(key)
        let segments = key.utf8.split(separator: UInt8(ascii: "/"))
        guard segments.first?.elementsEqual(ownFolder.utf8) != true else {
            throw BlobError.reserved
        }
        // The sidecar's name is five bytes longer, and file systems take 255.
        guard segments.allSatisfy({ $0.count <= 250 }) else {
            throw BlobError(.invalid, "a file store accepts at most 250 bytes between two '/' of a key")
        }
    }
}

extension FileStore {
    private func store(
        _ source: LocalFile, _ key: String, _ metadata: BlobMetadata, _ ifAbsent: Bool, _ cancellation: Cancellation
    ) throws(BlobError) -> PutOutcome {
        let aside = "\(root)/\(FileStore.ownFolder)/partial"
        let target = "\(root)/\(key)"
        try makeFolders(aside)
        TemporaryObject.removeStale(in: aside)
        let sidecar = try TemporaryObject(in: aside)
        try sidecar.write(Sidecar(sizeBytes: source.sizeBytes, metadata: metadata).bytes)
        try sidecar.sync()
        let object = try linkOrCopy(source, in: aside, cancellation)
        return try lock.exclusive { () throws(BlobError) in
            if ifAbsent, let info = try info(key) { return .existed(info) }
            try makeFolders(parentFolder(target))
            try makeFolders(parentFolder(sidecarPath(key)))
            try sidecar.publish(as: sidecarPath(key))
            try object.publish(as: target)
            return .stored
        }
    }

    private func linkOrCopy(
        _ source: LocalFile, in folder: String, _ cancellation: Cancellation
    ) throws(BlobError) -> TemporaryObject {
        if source.isFinal, let link = TemporaryObject(linkingTo: source, in: folder) {
            try link.sync()
            return link
        }
        let copy = try TemporaryObject(in: folder)
        try copy.copy(source, cancellation)
        try copy.sync()
        return copy
    }

    private func sidecarPath(_ key: String) -> String { "\(root)/\(FileStore.ownFolder)/meta/\(key).json" }

    private func info(_ key: String) throws(BlobError) -> BlobInfo? {
        do throws(BlobError) {
            return try openObject(key).info
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    private func openObject(_ key: String) throws(BlobError) -> (file: LocalFile, info: BlobInfo) {
        let path = "\(root)/\(key)"
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { throw BlobError.notFound(key, in: name) }
            throw BlobError.system("unable to read \(path)")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw BlobError.notFound(key, in: name) }
        let file = try LocalFile(path: path)
        let time = status.modifiedNanoseconds / 1000
        var info = BlobInfo(
            key: key, sizeBytes: file.sizeBytes, metadata: BlobMetadata(), etag: nil,
            lastModified: Timestamp(microseconds: time))
        // A sidecar with another size belongs to an object that a crash kept from being published.
        if let sidecar = Sidecar(path: sidecarPath(key)), sidecar.sizeBytes == file.sizeBytes {
            info.metadata = sidecar.metadata
        }
        return (file, info)
    }
}

extension BlobError {
    static var reserved: BlobError {
        BlobError(.invalid, "keys under '\(FileStore.ownFolder)/' are reserved for the store")
    }

    static func notFound(_ key: String, in store: String) -> BlobError {
        BlobError(.notFound, "there is no '\(key)' in \(store)")
    }

    static func damaged(_ key: String, in store: String) -> BlobError {
        BlobError(.corrupt, "'\(key)' in \(store) is damaged: its SHA-256 does not match")
    }

    static func changed(_ source: LocalFile) -> BlobError {
        BlobError(.corrupt, "\(source.path) changed after its SHA-256 was computed; nothing was stored")
    }
}

/// Holds the size and metadata of a file store's object, in a JSON file.
struct Sidecar {
    var sizeBytes: Int64
    var metadata: BlobMetadata

    private enum Key {
        static let sizeBytes = "size_bytes"
        static let contentType = "content_type"
        static let fileName = "file_name"
        static let user = "user"
    }

    /// The metadata is bounded by the limits of S3.
    private static let maxBytes: Int64 = 64 << 10

    init(sizeBytes: Int64, metadata: BlobMetadata) {
        self.sizeBytes = sizeBytes
        self.metadata = metadata
    }

    /// Reads a sidecar; nil when there is none, or this store did not write it.
    init?(path: String) {
        var bytes: [UInt8] = []
        guard let file = try? LocalFile(path: path), file.sizeBytes <= Sidecar.maxBytes,
            (try? file.read(from: 0, count: file.sizeBytes, cancellation: Cancellation()) { bytes += $0 }) != nil,
            let json = try? JSON(parsing: bytes), let size = json[Key.sizeBytes]?.int
        else { return nil }
        sizeBytes = size
        metadata = BlobMetadata(contentType: json[Key.contentType]?.string, fileName: json[Key.fileName]?.string)
        for member in json[Key.user]?.object?.members ?? [] {
            metadata.user[member.key] = member.value.string
        }
    }

    var bytes: [UInt8] {
        let user = metadata.user.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }
        let json = JSON.object([
            Key.sizeBytes: .integer(sizeBytes),
            Key.contentType: metadata.contentType.map { .string($0) },
            Key.fileName: metadata.fileName.map { .string($0) },
            Key.user: .object(JSONObject(user.map { .init(key: $0.key, value: .string($0.value)) })),
        ])
        var output: [UInt8] = []
        json.write(to: &output)
        return output
    }
}

/// Locks a file that processes share. The lock ends with its holder.
struct FileLock {
    let path: String

    /// The lock is held for renames and look-ups only, so no live process holds it for long.
    private static let timeout = Duration.seconds(30)

    /// Runs `body` beside other readers. In a folder that cannot be written to, it runs without a lock, because there
    /// are no writers.
    ///
    /// - Throws: `.busy` when a writer holds the lock for 30 seconds.
    func shared<Value>(_ body: () throws(BlobError) -> Value) throws(BlobError) -> Value {
        let descriptor = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { return try body() }
        defer { close(descriptor) }
        try take(descriptor, LOCK_SH)
        return try body()
    }

    /// Runs `body` with no reader or writer beside it.
    ///
    /// - Throws: `.busy` when others hold the lock for 30 seconds.
    func exclusive<Value>(_ body: () throws(BlobError) -> Value) throws(BlobError) -> Value {
        try makeFolders(parentFolder(path))
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw BlobError.system("unable to write to \(parentFolder(path))") }
        defer { close(descriptor) }
        try take(descriptor, LOCK_EX)
        return try body()
    }

    private func take(_ descriptor: Int32, _ mode: Int32) throws(BlobError) {
        switch lockFile(descriptor, mode, within: FileLock.timeout) {
        case 0: return
        case EWOULDBLOCK: throw BlobError(.busy, "another process holds \(path)", isTransient: true)
        case let number: throw BlobError.system("unable to lock \(path)", number)
        }
    }
}
