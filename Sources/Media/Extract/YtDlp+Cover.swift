import Glibc
import JSON
import System

extension YtDlp {
    /// The longest picture that becomes a cover.
    private static let maxCoverBytes = 16 << 20

    /// Takes the picture that yt-dlp has downloaded out of its folder.
    ///
    /// - Returns: the new path; nil if there is no such file.
    func keptCover() -> String? {
        let names = (folderEntries(work) ?? []).filter { $0.hasPrefix("cover.") }
        defer { for name in names { removeTree("\(work)/\(name)") } }
        let output = folder.file("cover.bin")
        for name in names {
            var info = stat()
            guard lstat("\(work)/\(name)", &info) == 0, info.st_mode & S_IFMT == S_IFREG,
                (1...YtDlp.maxCoverBytes).contains(Int(info.st_size)), rename("\(work)/\(name)", output) == 0
            else { continue }
            return output
        }
        return nil
    }
}

extension VideoInfo {
    private static let pictureExtensions: Set<String> = ["jpg", "jpeg", "png", "webp", "gif", "avif", "bmp", "tiff"]

    /// Is true if the site shows a picture, and all its pictures have names that yt-dlp accepts: it fails because of any other.
    var hasPicture: Bool {
        let listed = (json["thumbnails"]?.array ?? []).compactMap { $0["url"]?.string }
        let links = listed + [json["thumbnail"]?.string].compactMap { $0 }
        return !links.isEmpty
            && links.allSatisfy { link in
                let path = link.prefix { $0 != "?" && $0 != "#" }
                guard let ending = path.split(separator: ".").last, ending.allSatisfy({ $0.isLetter || $0.isNumber })
                else { return true }
                return VideoInfo.pictureExtensions.contains(ending.lowercased())
            }
    }
}
