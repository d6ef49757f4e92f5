package import Glibc

/// The names in a folder, without `.` and `..`, in no order; nil, and `errno`, when it cannot be read. Blocks.
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

/// Makes a folder and those above it. Blocks.
///
/// - Returns: 0, also when it is there already, or the error's number and the folder that cannot be made.
package func makeFolders(_ path: String, mode: mode_t) -> (error: Int32, path: String) {
    if mkdir(path, mode) == 0 { return (0, path) }
    let reason = errno
    // An existing folder of the system may answer that it is read-only, or not ours, before that it exists.
    if access(path, F_OK) == 0 { return (0, path) }
    guard reason == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return (reason, path) }
    let parent = makeFolders(String(path[..<slash]), mode: mode)
    guard parent.error == 0 else { return parent }
    // `a/b/` is there with `a/b`.
    return mkdir(path, mode) == 0 || errno == EEXIST ? (0, path) : (errno, path)
}

/// Removes a folder and the files in it; one that holds other folders stays. Blocks.
package func removeFiles(in path: String) {
    for name in folderEntries(path) ?? [] { unlink("\(path)/\(name)") }
    rmdir(path)
}
