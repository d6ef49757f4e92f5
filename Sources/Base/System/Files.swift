import Glibc

/// Returns a path that means the same file whatever the working folder is; the path itself when the working folder is gone.
package func absolutePath(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return "\(String(cString: folder))/\(path)"
}

/// Returns the folder that a path's file is in: `.` for a bare name, `/` for a name in the root folder.
package func parentFolder(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Returns the part of a path after its last slash, ignoring slashes at the end.
package func lastPathComponent(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

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
package func makeFolders(_ path: String, mode: UInt32) -> (error: Int32, path: String) {
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

/// Writes all bytes, in as many system calls as the kernel needs. Blocks.
///
/// - Returns: 0, or the error's number.
package func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
    var done = 0
    while done < bytes.count {
        let count = write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return errno == 0 ? EIO : errno }
        done += count
    }
    return 0
}

/// Locks an open file against other processes until it is closed or this process ends. Blocks.
///
/// - Parameter mode: `LOCK_EX` or `LOCK_SH`.
/// - Returns: 0; `EWOULDBLOCK` if another process held the lock for all of the time; otherwise the error's number.
package func lockFile(_ descriptor: Int32, _ mode: Int32, within limit: Duration) -> Int32 {
    let end = ContinuousClock.now + limit
    while flock(descriptor, mode | LOCK_NB) != 0 {
        let reason = errno
        guard reason == EWOULDBLOCK || reason == EINTR else { return reason }
        guard ContinuousClock.now < end else { return EWOULDBLOCK }
        usleep(2000)
    }
    return 0
}

extension stat {
    /// The time of the last change of the file's content, in nanoseconds since 1970.
    package var modifiedNanoseconds: Int64 { withUnsafePointer(to: st_mtim) { SystemClocks.nanoseconds($0) } }

    /// The time of the last change of the file's content or attributes, in nanoseconds since 1970.
    package var changedNanoseconds: Int64 { withUnsafePointer(to: st_ctim) { SystemClocks.nanoseconds($0) } }
}

/// Reads from a descriptor until its end or a limit. What it reads may be a pipe, which gives its content in parts. Blocks.
///
/// - Returns: nil, and `errno`, if it cannot be read.
package func readAll(_ descriptor: Int32, atMost limit: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: min(limit, 1 << 16))
    var count = 0
    while count < limit {
        if count == bytes.count { bytes += [UInt8](repeating: 0, count: min(limit - count, count)) }
        let got = bytes[count...].withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        if got < 0 && errno == EINTR { continue }
        guard got >= 0 else { return nil }
        if got == 0 { break }
        count += got
    }
    bytes.removeSubrange(count...)
    return bytes
}
