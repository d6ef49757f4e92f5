import System
import Glibc

/// A lock file that processes share; released when its holder dies.
struct FileLock {
    let path: String

    /// What it guards are renames and looks: nobody who is alive holds it for long.
    private static let patience = Duration.seconds(30)

    /// Runs `body` beside other readers. A folder that cannot be written to has nobody to be guarded from.
    func shared<Value>(_ body: () throws(BlobError) -> Value) throws(BlobError) -> Value {
        let descriptor = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { return try body() }
        defer { close(descriptor) }
        try take(descriptor, LOCK_SH)
        return try body()
    }

    /// Runs `body` alone.
    func exclusive<Value>(_ body: () throws(BlobError) -> Value) throws(BlobError) -> Value {
        try makeFolders(parentFolder(path))
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw BlobError.system("unable to write to \(parentFolder(path))") }
        defer { close(descriptor) }
        try take(descriptor, LOCK_EX)
        return try body()
    }

    private func take(_ descriptor: Int32, _ mode: Int32) throws(BlobError) {
        switch lockFile(descriptor, mode, within: FileLock.patience) {
        case 0: return
        case EWOULDBLOCK: throw BlobError(.busy, "another process holds \(path)", isTemporary: true)
        case let number: throw BlobError.system("unable to lock \(path)", number)
        }
    }
}
