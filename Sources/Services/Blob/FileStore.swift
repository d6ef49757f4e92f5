import System
import Glibc
import JSON

/// A folder as a store: an object is the file at its key's path; its metadata is a sidecar under `.tgpipe/meta`.
///
/// Both are written aside and put in place under a lock that all processes share, the sidecar first; so whoever sees an object
/// sees its metadata too.
struct FileStore: BlobStore {
    let root: String

    var name: String { "file:\(root)" }

    private var lock: FileLock { FileLock(path: "\(root)/\(FileStore.ownFolder)/lock") }

    /// The part of a store's folder that holds no objects.
    static let ownFolder = ".tgpipe"

    func localPath(_ key: String) -> String? { "\(root)/\(key)" }

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
        // A store can be exchanged for the other kind: what S3 would not take is refused here too.
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
            let copy = try PartialFile(in: parentFolder(path))
            try copy.copy(object, cancellation)
            let found = try object.sha256(cancellation)
            guard found == info.metadata.sha256 ?? found else { throw BlobError.damaged(key, in: name) }
            try copy.sync()
            try copy.rename(to: path)
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
            throw BlobError(.invalid, "keys under '\(ownFolder)/' are the store's own")
        }
        // The sidecar's name is five bytes longer, and disks take 255.
        guard segments.allSatisfy({ $0.count <= 250 }) else {
            throw BlobError(.invalid, "a file store takes at most 250 bytes between two '/' of a key")
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
        PartialFile.removeStale(in: aside)
        let sidecar = try PartialFile(in: aside)
        try sidecar.write(Sidecar(sizeBytes: source.sizeBytes, metadata: metadata).bytes)
        try sidecar.sync()
        let object = try linkOrCopy(source, in: aside, cancellation)
        return try lock.exclusive { () throws(BlobError) in
            if ifAbsent, let info = try info(key) { return .existed(info) }
            try makeFolders(parentFolder(target))
            try makeFolders(parentFolder(sidecarPath(key)))
            try sidecar.rename(to: sidecarPath(key))
            try object.rename(to: target)
            return .stored
        }
    }

    private func linkOrCopy(
        _ source: LocalFile, in folder: String, _ cancellation: Cancellation
    ) throws(BlobError) -> PartialFile {
        if source.isFinal, let link = PartialFile(linkingTo: source, in: folder) {
            try link.sync()
            return link
        }
        let copy = try PartialFile(in: folder)
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
        // A sidecar that tells of another size is one whose object a crash kept from its place.
        if let sidecar = Sidecar(path: sidecarPath(key)), sidecar.sizeBytes == file.sizeBytes {
            info.metadata = sidecar.metadata
        }
        return (file, info)
    }
}

extension BlobError {
    static func notFound(_ key: String, in store: String) -> BlobError {
        BlobError(.notFound, "there is no '\(key)' in \(store)")
    }

    static func damaged(_ key: String, in store: String) -> BlobError {
        BlobError(.corrupt, "'\(key)' in \(store) is damaged: its SHA-256 is another")
    }

    static func changed(_ source: LocalFile) -> BlobError {
        BlobError(.corrupt, "\(source.path) is not the file that its SHA-256 was made of; nothing was stored")
    }
}
