/// Holds what a file says about itself.
struct MediaTags: Sendable, Equatable {
    var title: String?
    var performer: String?
    /// The link that the file comes from.
    var link: String?

    /// The options by which ffmpeg writes the tags.
    var options: [String] {
        [("title", title), ("artist", performer), ("comment", link)].flatMap { name, value in
            value.map { ["-metadata", "\(name)=\($0)"] } ?? []
        }
    }
}
