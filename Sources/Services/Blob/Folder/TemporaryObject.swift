import Glibc
import System

/// A file that a store fills under a temporary name and publishes once it is whole. Removed with this object until then.
final class TemporaryObject {
    private let file: AtomicFile

    /// Makes an empty file.
    ///
    /// - Parameter folder: a folder on the file system of the final name.
    init(in folder: String) throws(BlobError) {
        do throws(SystemError) {
            file = try AtomicFile(at: TemporaryObject.newPath(in: folder), mode: 0o666)
        } catch {
            throw BlobError.system("unable to write to \(folder)", error.number)
        }
    }

    /// Gives the very file that is open another name, which needs no copy.
    ///
    /// - Returns: nil where the file system, or the file's owner, does not allow it.
    init?(linkingTo source: LocalFile, in folder: String) {
        let path = TemporaryObject.newPath(in: folder)
        guard let link = AtomicFile(linkingTo: source.descriptor, at: path) else { return nil }
        file = link
    }

    private static func newPath(in folder: String) -> String {
        "\(folder)/\(prefix)\(String(UInt64.random(in: 0...UInt64.max), radix: 36)).part"
    }

    private static let prefix = ".tgpipe-"

    /// Removes the files of killed processes: those that have not changed for a day. No process writes to one file for so long.
    static func removeStale(in folder: String, afterSeconds: Int = 24 * 3600) {
        for name in folderEntries(folder) ?? [] {
            var status = stat()
            guard name.hasPrefix(prefix), lstat("\(folder)/\(name)", &status) == 0,
                status.changedNanoseconds / 1_000_000_000 < time(nil) - afterSeconds
            else { continue }
            unlink("\(folder)/\(name)")
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(BlobError) {
        try call { () throws(SystemError) in try file.write(bytes) }
    }

    func write(_ bytes: [UInt8]) throws(BlobError) {
        try call { () throws(SystemError) in try file.write(bytes) }
    }

    /// Brings the bytes to the disk. Call it before taking a lock under which `publish` is to be quick.
    func sync() throws(BlobError) {
        try call { () throws(SystemError) in try file.sync() }
    }

    /// Gives the file its name, in place of a file that has it, so that it survives a loss of power.
    func publish(as path: String) throws(BlobError) {
        do throws(SystemError) {
            try file.publish(as: path)
        } catch {
            throw BlobError.system("unable to write \(path)", error.number)
        }
    }

    /// Copies a file, within the kernel where the file systems allow it.
    func copy(_ source: LocalFile, _ cancellation: Cancellation) throws(BlobError) {
        var done: Int64 = 0
        while done < source.sizeBytes {
            try cancellation.check()
            var offset = off_t(done)
            let wanted = Int(min(source.sizeBytes - done, 16 << 20))
            let count = Linux.copyFileRange(source.descriptor, &offset, to: file.descriptor, count: wanted)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            done += Int64(count)
        }
        // The rest goes through memory when the kernel does not copy it (another disk, an old file system); errors show there.
        try source.read(from: done, count: source.sizeBytes - done, cancellation: cancellation) {
            (bytes) throws(BlobError) in try write(bytes)
        }
    }

    private func call(_ body: () throws(SystemError) -> Void) throws(BlobError) {
        do throws(SystemError) {
            try body()
        } catch {
            throw BlobError.system("unable to write \(file.temporaryPath)", error.number)
        }
    }
}

/// Makes a store's folder and those above it.
func makeFolders(_ path: String) throws(BlobError) {
    let made = makeFolders(path, mode: 0o755)
    guard made.error == 0 else { throw .system("unable to make the folder \(made.path)", made.error) }
}
