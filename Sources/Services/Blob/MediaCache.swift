import System
import Envelope
import Glibc

/// Keeps local copies of stored objects in a folder. `blob-put` and `tg-send` add copies, `tg-send` uses them, and
/// the oldest are removed first.
///
/// Removing any copy is safe: the store has every object. A copy in use is held by a shared advisory lock, which
/// `evict` respects.
package struct MediaCache: Sendable {
    package let directory: String

    package init(directory: String) { self.directory = directory }

    /// Returns the path of an object's copy, whether it exists or not; nil for a key that must not become a path.
    package func path(of key: String) -> String? {
        let words = key.split(separator: "/", omittingEmptySubsequences: false)
        let isSafe =
            !words.isEmpty
            && words.allSatisfy { word in
                !word.isEmpty && word != "." && word != ".."
                    && word.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x5C }
            }
        return isSafe && key.utf8.count <= 512 ? "\(directory)/\(key)" : nil
    }

    /// Moves a finished file into the cache, in place of an existing copy.
    ///
    /// - Returns: the copy's path; nil when the file could not be moved (from another file system, say) and is still
    ///   in its place.
    package func take(_ path: String, as key: String) -> String? {
        guard let target = self.path(of: key), makeParents(of: target), rename(path, target) == 0 else { return nil }
        return target
    }

    /// Returns a path for a copy that is still being written, which `take` then moves to its place; nil when its
    /// folder cannot be made.
    package func temporaryPath() -> String? {
        let path = "\(directory)/partial/\(EventID())"
        return makeParents(of: path) ? path : nil
    }

    /// Opens the copy of an object. It is not evicted while it is open.
    package func open(_ key: String) -> OpenFile? { path(of: key).flatMap { OpenFile(path: $0) } }

    /// Removes copies, oldest first, until the others have at most `limitBytes`. A copy in use stays.
    ///
    /// - Returns: the number of copies removed, and their bytes.
    package func evict(downTo limitBytes: Int64) -> (count: Int, bytes: Int64) {
        var copies = MediaCache.files(below: directory, depth: 3).sorted { $0.modified < $1.modified }
        var total = copies.reduce(0) { $0 + $1.sizeBytes }
        var removed: (count: Int, bytes: Int64) = (0, 0)
        while total > limitBytes, !copies.isEmpty {
            let copy = copies.removeFirst()
            guard MediaCache.removeIfUnused(copy.path) else { continue }
            total -= copy.sizeBytes
            removed = (removed.count + 1, removed.bytes + copy.sizeBytes)
        }
        return removed
    }

    private static func removeIfUnused(_ path: String) -> Bool {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0
    }

    private struct Copy {
        let path: String
        let sizeBytes: Int64
        let modified: Double
    }

    private static func files(below directory: String, depth: Int) -> [Copy] {
        guard depth > 0 else { return [] }
        var found: [Copy] = []
        for name in folderEntries(directory) ?? [] {
            let path = "\(directory)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: found += files(below: path, depth: depth - 1)
            case S_IFREG:
                let modified = Double(status.modifiedNanoseconds) / 1e9
                found.append(Copy(path: path, sizeBytes: Int64(status.st_size), modified: modified))
            default: break
            }
        }
        return found
    }

    private func makeParents(of path: String) -> Bool {
        (try? makeDirectory(parentFolder(path), mode: 0o700)) != nil
    }
}

/// A regular file, open for reading under a shared lock. It closes with this object.
package final class OpenFile: Sendable {
    package let path: String
    package let descriptor: Int32
    package let sizeBytes: Int64

    /// Opens a file; nil when it does not exist, is not a regular file, is being removed, or cannot be read.
    ///
    /// - Parameter mayLackName: opens a file of the user, which nobody removes on purpose. It may be the copy of a pipe, which no
    ///   folder has, and others may have locked it.
    package init?(path: String, mayLackName: Bool = false) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            mayLackName || (flock(descriptor, LOCK_SH | LOCK_NB) == 0 && status.st_nlink > 0)
        else {
            close(descriptor)
            return nil
        }
        self.path = path
        self.descriptor = descriptor
        sizeBytes = Int64(status.st_size)
    }

    deinit { close(descriptor) }
}
