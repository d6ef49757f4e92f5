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
