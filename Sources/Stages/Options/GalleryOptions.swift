package import ArgumentParser

/// Names the program that fetches pictures.
package struct GalleryOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The gallery-dl program, for pictures. Default: the one that 'tgpipe update-yt-dlp' has installed, else gallery-dl. [env: TGPIPE_GALLERY_DL]",
            valueName: "program"))
    package var galleryDl: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("An additional argument for gallery-dl. May be repeated.", valueName: "argument"))
    package var galleryDlArg: [String] = []

    package init() {}
}
