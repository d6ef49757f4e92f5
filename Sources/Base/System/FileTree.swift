import Glibc

/// Works with folders that a hostile program may have filled: names have any bytes, and folders any depth.
private struct FolderDescriptor: ~Copyable {
    typealias Name = [CChar]

    let number: Int32

    /// Opens a folder in another one, without following a link; nil, and `errno`, if it cannot be opened.
    init?(_ name: Name, in parent: Int32) {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        var opened = openat(parent, name, flags)
        if opened < 0, errno == EACCES, fchmodat(parent, name, 0o700, 0) == 0 { opened = openat(parent, name, flags) }
        guard opened >= 0 else { return nil }
        number = opened
    }

    deinit { close(number) }

    /// Returns the names in the folder, without `.` and `..`.
    var names: [Name] {
        // The stream closes its descriptor, and begins where a copy of this one would have stopped.
        let copy = openat(number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let folder = fdopendir(copy) else {
            if copy >= 0 { close(copy) }
            return []
        }
        defer { closedir(folder) }
        var names: [Name] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) } + [0]
            }
            if name != [46, 0], name != [46, 46, 0] { names.append(name) }
        }
        return names
    }

    /// Removes a name that is no folder, or an empty one; returns whether it is gone.
    func remove(_ name: Name) -> Bool {
        unlinkat(number, name, 0) == 0 || unlinkat(number, name, AT_REMOVEDIR) == 0
    }
}

/// Removes a file, or a folder with everything in it, without following links. Blocks.
package func removeTree(_ path: String) {
    guard unlink(path) != 0, errno == EISDIR || errno == EPERM,
        let folder = FolderDescriptor(path.utf8CString.map { $0 }, in: AT_FDCWD)
    else { return }
    fchmod(folder.number, 0o700)
    var moved = 0
    while true {
        let names = folder.names
        var isChanged = false
        for name in names {
            if folder.remove(name) || moveUp(name, to: folder, &moved) { isChanged = true }
        }
        guard isChanged else { break }
    }
    rmdir(path)
}

/// Empties a folder in another one: what it cannot remove there, it moves up, so that no path becomes too long.
///
/// - Returns: whether anything was removed or moved.
private func moveUp(_ name: FolderDescriptor.Name, to folder: borrowing FolderDescriptor, _ moved: inout Int) -> Bool {
    guard let inner = FolderDescriptor(name, in: folder.number) else { return false }
    fchmod(inner.number, 0o700)
    var isChanged = false
    for entry in inner.names {
        if inner.remove(entry) {
            isChanged = true
            continue
        }
        // A name that is taken already is none of ours: the next one will do.
        for _ in 0..<100 {
            moved += 1
            if renameat(inner.number, entry, folder.number, "tgpipe-removes-\(moved)") == 0 {
                isChanged = true
                break
            }
        }
    }
    return folder.remove(name) || isChanged
}

/// Measures a folder with everything in it.
package struct FolderUse: Sendable {
    /// The bytes of all files; the largest number if the folders are nested deeper than any program nests them.
    package private(set) var bytes: Int64 = 0
    /// The number of files and folders in it.
    package private(set) var entries = 0

    private static let deepest = 32

    /// Measures a file or a folder, without following links. Blocks.
    package init(of path: String) { add(path.utf8CString.map { $0 }, in: AT_FDCWD, depth: 0) }

    private mutating func add(_ name: FolderDescriptor.Name, in parent: Int32, depth: Int) {
        var info = stat()
        guard fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            let (sum, overflow) = bytes.addingReportingOverflow(Int64(info.st_size))
            bytes = overflow ? .max : sum
            return
        }
        guard depth < FolderUse.deepest else {
            bytes = .max
            return
        }
        guard let folder = FolderDescriptor(name, in: parent) else { return }
        for entry in folder.names {
            entries += 1
            add(entry, in: folder.number, depth: depth + 1)
        }
    }
}
