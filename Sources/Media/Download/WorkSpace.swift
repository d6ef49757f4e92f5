import Glibc
import Payloads
import System

/// Keeps the folder for downloads within its limits: a quota for the folder, and a reserve of free space on its disk.
struct WorkSpace: Sendable {
    let directory: String
    /// The bytes of the disk that stay free.
    let reserveBytes: Int64
    /// The most bytes that all jobs together may keep; nil sets no such limit.
    let quotaBytes: Int64?

    /// Returns the number of bytes that one more job may write. If there are none, it first removes partial downloads that no
    /// job works on, the oldest first.
    ///
    /// - Throws: `noSpace`.
    func makeRoom() throws(MediaError) -> Int64 {
        var room = bytesLeft
        guard room <= 0 else { return room }
        for hash in abandonedJobs {
            guard let folder = try? JobFolder.tryToOpen(root: directory, hash: hash) else { continue }
            if !ResultFile(folder.path).isWaiting { folder.remove() }
            folder.unlock()
            room = bytesLeft
            if room > 0 { return room }
        }
        throw MediaError(.noSpace, "There is no space left on my disk.")
    }

    private var bytesLeft: Int64 {
        var info = statvfs()
        var room = Int64.max
        if statvfs(directory, &info) == 0 {
            let free = Int64(clamping: info.f_bavail).multipliedReportingOverflow(by: Int64(clamping: info.f_frsize))
            room = (free.overflow ? .max : free.partialValue) - reserveBytes
        }
        if let quotaBytes { room = min(room, quotaBytes - FolderUse(of: directory).bytes) }
        return room
    }

    /// The jobs whose folder holds a partial download, the one that changed first at the beginning.
    private var abandonedJobs: [String] {
        (folderEntries(directory) ?? []).filter { $0.utf8.count == 64 && !ResultFile("\(directory)/\($0)").isWaiting }
            .map { name in (name, WorkSpace.lastChange(of: "\(directory)/\(name)")) }
            .sorted { $0.1 < $1.1 }.map(\.0)
    }

    private static func lastChange(of path: String) -> Int64 {
        var info = stat()
        let own = lstat(path, &info) == 0 ? info.modifiedNanoseconds : 0
        guard info.st_mode & S_IFMT == S_IFDIR else { return own }
        return (folderEntries(path) ?? []).map { lastChange(of: "\(path)/\($0)") }.reduce(own, max)
    }
}
