import Glibc
package import System

/// Describes the copies of yt-dlp and gallery-dl that `tgpipe update-yt-dlp` keeps in the state folder: the current one, and the one before it.
///
/// Each copy is a virtual environment of Python in a folder of its own. The symbolic links `current` and `former` lead to two of them, and
/// are replaced in one step, so that a download that begins meanwhile gets the one or the other.
package struct InstalledYtDlp: Sendable {
    /// The folder of all copies.
    package let folder: String

    package init(folder: String) { self.folder = folder }

    /// The program that is in use; nil if none has been installed.
    package var program: String? {
        let path = InstalledYtDlp.program(of: link("current"))
        return access(path, X_OK) == 0 ? path : nil
    }

    /// Returns the program of a copy.
    package static func program(of copy: String) -> String { "\(copy)/bin/yt-dlp" }

    /// Returns the program to use: the one that the user names, else the installed one, else that on `PATH`.
    ///
    /// - Parameter folder: the folder of all copies; nil without a state folder.
    package static func chosen(_ named: String?, folder: String?) -> String {
        if let named = named ?? Settings.environment("TGPIPE_YT_DLP") { return named }
        return folder.flatMap { InstalledYtDlp(folder: $0).program } ?? "yt-dlp"
    }

    /// Returns the gallery-dl of a copy, which is installed beside yt-dlp, so that it can use it for videos.
    package static func galleryProgram(of copy: String) -> String { "\(copy)/bin/gallery-dl" }

    /// Returns the gallery-dl to use: the one that the user names, else the installed one, else that on `PATH`.
    ///
    /// - Parameter folder: the folder of all copies; nil without a state folder.
    package static func chosenGallery(_ named: String?, folder: String?) -> String {
        if let named = named ?? Settings.environment("TGPIPE_GALLERY_DL") { return named }
        let installed = folder.map { galleryProgram(of: InstalledYtDlp(folder: $0).link("current")) }
        return installed.flatMap { access($0, X_OK) == 0 ? $0 : nil } ?? "gallery-dl"
    }

    private func link(_ name: String) -> String { "\(folder)/\(name)" }

    /// Returns the name of the copy that a link leads to.
    private func target(_ name: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(link(name), &buffer, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Puts a copy into use, keeps the one before it, and removes all others.
    ///
    /// - Parameter name: the name of the copy's folder.
    /// - Throws: `ToolError` (74).
    package func use(_ name: String) throws(ToolError) {
        if let current = target("current"), current != name { try point("former", to: current) }
        try point("current", to: name)
        let kept = Set(["current", "former"].compactMap(target))
        for entry in entries where !kept.contains(entry) { removeTree("\(folder)/\(entry)") }
    }

    /// Puts the copy before the current one into use again.
    ///
    /// - Returns: false if there is none.
    /// - Throws: `ToolError` (74).
    package func rollBack() throws(ToolError) -> Bool {
        guard let former = target("former"), let current = target("current"), former != current else { return false }
        try point("current", to: former)
        try point("former", to: current)
        return true
    }

    /// The names of all copies' folders.
    private var entries: [String] {
        (folderEntries(folder) ?? []).filter { $0.hasPrefix(InstalledYtDlp.prefix) }
    }

    /// The beginning of the names of copies.
    private static let prefix = "copy-"

    /// Returns a name for a new copy, which no other has.
    package static func newName() -> String { "\(prefix)\(time(nil))-\(getpid())" }

    private func point(_ name: String, to target: String) throws(ToolError) {
        let temporary = link(".\(name)-\(getpid())")
        unlink(temporary)
        guard symlink(target, temporary) == 0, rename(temporary, link(name)) == 0 else {
            throw ToolError.localIO("unable to write to \(folder)")
        }
    }
}
