package import Glibc

/// Returns the names in a folder in no particular order, without `.` and `..`; nil, and `errno`, if it cannot be read. Blocks.
package func folderEntries(_ path: String) -> [String]? {
    guard let folder = opendir(path) else { return nil }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}

/// Makes a folder and its missing parent folders. Blocks.
///
/// - Returns: 0, also if the folder exists, or the error's number and the folder that cannot be made.
package func makeFolders(_ path: String, mode: mode_t) -> (error: Int32, path: String) {
    if mkdir(path, mode) == 0 { return (0, path) }
    let reason = errno
    // For an existing folder, the system may report a read-only file system or a missing permission instead of its existence.
    if access(path, F_OK) == 0 { return (0, path) }
    guard reason == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return (reason, path) }
    let parent = makeFolders(String(path[..<slash]), mode: mode)
    guard parent.error == 0 else { return parent }
    // `a/b/` exists once `a/b` does.
    return mkdir(path, mode) == 0 || errno == EEXIST ? (0, path) : (errno, path)
}

/// Removes a folder and the files in it; a folder that contains folders stays. Blocks.
package func removeFiles(in path: String) {
    for name in folderEntries(path) ?? [] { unlink("\(path)/\(name)") }
    rmdir(path)
}
