import JSON

/// Describes a file of a gallery as the list of the gallery does: the member `picture` of a request for a file of a gallery. A stage that
/// fetches the file can then do so without going through the gallery to its place.
package struct GalleryFile: Sendable, Hashable {
    /// The URL of the file itself. It may hold for a short time only.
    package let url: String
    package let performer: String?
    /// The file's name at the site, without its extension.
    package let fileName: String?

    /// The longest URL that is kept.
    private static let longest = 4096

    /// Returns nil for a URL that is neither http nor https, or is too long.
    package init?(url: String, performer: String? = nil, fileName: String? = nil) {
        guard ["http://", "https://"].contains(where: { url.lowercased().hasPrefix($0) }),
            url.utf8.count <= GalleryFile.longest, url.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f })
        else { return nil }
        (self.url, self.performer, self.fileName) = (url, performer, fileName)
    }

    /// Reads the member `picture`; nil for a damaged one, which is only a help.
    init?(_ json: JSON?) {
        guard let url = json?["url"]?.string else { return nil }
        self.init(url: url, performer: json?["performer"]?.string, fileName: json?["file_name"]?.string)
    }

    var json: JSON {
        .object(["url": .string(url), "performer": JSON(performer), "file_name": JSON(fileName)])
    }
}
