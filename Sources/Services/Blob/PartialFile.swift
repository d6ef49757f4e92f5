import System
import Glibc

/// A file that is being written, under a name of its own until it is whole. Removed with the object unless committed.
final class PartialFile {
    let path: String
    let descriptor: Int32
    private var isPending = true

    /// - Parameter folder: where the file will be in the end, or on the same disk.
    init(in folder: String) throws(BlobError) {
        path = PartialFile.newPath(in: folder)
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else { throw BlobError.system("unable to write to \(folder)") }
    }

    /// Another name of the very file that is open, which needs no copy; nil where the disk, or its owner, does not allow it.
    init?(linkingTo source: LocalFile, in folder: String) {
        let own = dup(source.descriptor)
        path = PartialFile.newPath(in: folder)
        descriptor = own
        let isLinked = linkat(AT_FDCWD, "/proc/self/fd/\(own)", AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0
        guard own >= 0, isLinked else {
            isPending = false
            return nil
        }
    }

    private static func newPath(in folder: String) -> String {
        "\(folder)/\(prefix)\(String(UInt64.random(in: 0...UInt64.max), radix: 36)).part"
    }

    private static let prefix = ".tgpipe-"

    /// Removes what killed processes left behind: nobody writes to one file for a day.
    static func removeStale(in folder: String, afterSeconds: Int = 24 * 3600) {
        for name in folderEntries(folder) ?? [] {
            var status = stat()
            guard name.hasPrefix(prefix), lstat("\(folder)/\(name)", &status) == 0,
                status.changedNanoseconds / 1_000_000_000 < time(nil) - afterSeconds
            else { continue }
            unlink("\(folder)/\(name)")
        }
    }

    deinit {
        if isPending { unlink(path) }
        close(descriptor)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(BlobError) {
        let failure = writeAll(descriptor, bytes)
        guard failure == 0 else { throw BlobError.system("unable to write \(path)", failure) }
    }

    func write(_ bytes: [UInt8]) throws(BlobError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(BlobError) in try write(UnsafeRawBufferPointer(bytes)) }
    }

    func sync() throws(BlobError) {
        guard fsync(descriptor) == 0 else { throw BlobError.system("unable to write \(path)") }
    }

    /// Gives the file its name, in place of one that is there.
    func rename(to target: String) throws(BlobError) {
        guard Glibc.rename(path, target) == 0 else { throw BlobError.system("unable to write \(target)") }
        isPending = false
        syncFolder(of: target)
    }

    /// Copies the file, within the kernel where the disks allow.
    func copy(_ source: LocalFile, _ cancellation: Cancellation) throws(BlobError) {
        var done: Int64 = 0
        while done < source.sizeBytes {
            try cancellation.check()
            var offset = off_t(done)
            let wanted = Int(min(source.sizeBytes - done, 16 << 20))
            let count = Linux.copyFileRange(source.descriptor, &offset, to: descriptor, count: wanted)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            done += Int64(count)
        }
        // What the kernel would not copy (another disk, an old file system) goes through memory, its errors included.
        try source.read(from: done, count: source.sizeBytes - done, cancellation: cancellation) {
            (bytes) throws(BlobError) in try write(bytes)
        }
    }
}

/// Makes a rename outlast a power cut; a disk that cannot is no reason to fail what is done.
private func syncFolder(of path: String) {
    let descriptor = open(parentFolder(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
}

/// The folder that `path` is in.
func parentFolder(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

func makeFolders(_ path: String) throws(BlobError) {
    let made = makeFolders(path, mode: 0o755)
    guard made.error == 0 else { throw .system("unable to make the folder \(made.path)", made.error) }
}
