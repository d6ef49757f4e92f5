import Glibc
import JSON
import Payloads
import Process
import Synchronization
import System

/// Fetches pictures from the sites that gallery-dl supports: it lists a gallery, or downloads one file of it.
struct GalleryDl: Sendable {
    /// The program with its folder, its network and its limits.
    var program: SiteProgram

    /// A downloaded file of a gallery.
    struct Picture: Sendable {
        var path: String
        var details: GalleryDetails
        /// Names the file, as `Gallery.Item.id` does; nil if gallery-dl does not tell its URL.
        var id: String?
    }

    /// The longest description of a gallery, in bytes.
    private static let maxListBytes = 32 << 20
    /// The longest description of one file.
    private static let maxDetailsBytes = 4 << 20
    private static let processorTimeOfList = Duration.seconds(600)

    /// Lists the files of a gallery.
    ///
    /// - Parameter range: the places to list. Sites are not asked for what follows, as far as they list page by page.
    func list(_ url: String, _ range: ItemRange) async throws(MediaError) -> Gallery {
        let place = try program.prepare()
        defer { program.cleanUp(place) }
        let answer = program.folder.file("gallery.json")
        var run = program.run(
            arguments(place) + ["--dump-json", "--range", "\(range.first)-\(range.last)"]
                + program.settings.extraArguments + ["--", url],
            place, processorTime: GalleryDl.processorTimeOfList)
        run.outputFile = answer
        run.command.maxFileBytes = UInt64(GalleryDl.maxListBytes)
        defer { unlink(answer) }
        let exit = try await program.runWatched(run, isDownload: false)
        guard exit.isSuccess else { throw failure(exit, place) }
        let bytes = SmallFile.readBytes(answer, maxBytes: GalleryDl.maxListBytes) ?? []
        guard let json = try? bytes.withUnsafeBytes({ try JSONParser().parse($0) }) else {
            throw MediaError(.extractorFailed, "gallery-dl's answer cannot be read.")
        }
        do throws(MediaError) { return try Gallery(json, range) } catch {
            throw program.blaming(error, of: nil, place)
        }
    }

    /// Downloads one file of a gallery.
    ///
    /// - Parameter item: its place, from 1 on.
    func download(
        _ url: String, item: Int64, _ onProgress: @escaping ProgressHandler
    ) async throws(MediaError) -> Picture {
        let place = try program.prepare()
        defer { program.cleanUp(place) }
        // gallery-dl leaves out a file that is there already. A partial download has another name.
        removeTree(file)
        removeTree(detailsFile)
        var run = program.run(
            arguments(place) + [
                "--directory", ".", "--filename", lastPathComponent(file), "--range", "\(item)", "--filesize-max",
                "\(program.maxBytes)", "--no-mtime", "--write-metadata", "--option", "adjust-extensions=false",
                "--option", "url-metadata=\(GalleryFileID.urlKey)",
                // Of a list of lists, each would give the file at this place.
                "--child-filter", "False",
            ] + program.settings.extraArguments + ["--", url],
            place, processorTime: program.jail.processorTime)
        run.command.maxFileBytes = UInt64(program.maxBytes)
        onProgress(MediaProgress(.downloading))
        let exit = try await program.runWatched(
            run, isDownload: true, onGrowth: { bytes in onProgress(MediaProgress(.downloading, doneBytes: bytes)) })
        defer { removeTree(detailsFile) }
        if let error = GalleryMessage.excess(exit.errorLines, maxBytes: program.maxBytes) { throw error }
        guard exit.isSuccess else { throw failure(exit, place) }
        guard let path = finishedFile else {
            throw MediaError(.noSuchPart, "There are fewer pictures than the one that you asked for.")
        }
        program.refreshCookies(place)
        let details = SmallFile.read(detailsFile, maxBytes: GalleryDl.maxDetailsBytes) ?? [:]
        let id = details[GalleryFileID.urlKey]?.string.map { GalleryFileID.id(ofFile: $0, details) }
        return Picture(path: path, details: GalleryDetails(details), id: id)
    }

    /// The path of the downloaded file, whose name says nothing: names of sites are for people only.
    private var file: String { "\(program.work)/media.bin" }

    private var detailsFile: String { "\(file).json" }

    private var finishedFile: String? {
        var info = stat()
        return lstat(file, &info) == 0 && info.st_mode & S_IFMT == S_IFREG ? file : nil
    }

    private func arguments(_ place: SiteProgram.Place) -> [String] {
        [
            "--config-ignore", "--no-input", "--no-colors", "--warning", "--http-timeout", "20", "--sleep-429", "10",
            "--option", "image-unique=true",
        ] + (place.cookies == nil ? [] : ["--cookies", program.cookiesCopy])
    }

    private func failure(_ exit: ChildRun.Exit, _ place: SiteProgram.Place) -> MediaError {
        if let error = program.failure(exit) { return error }
        guard case .ended(.exited(let status)) = exit.cause else {
            return MediaError(.extractorFailed, "gallery-dl failed.")
        }
        let error = GalleryMessage.error(exit.errorLines, status: status)
        return program.blaming(error, of: GalleryMessage.extractor(exit.errorLines), place)
    }
}

/// Describes a file of a gallery, or the gallery, for people.
struct GalleryDetails: Sendable, Equatable {
    let title: String?
    let performer: String?
    /// The file's name at the site, without its extension.
    let fileName: String?

    /// Reads what gallery-dl found out. Its sites name the same things in many ways.
    init(_ json: JSONObject) {
        title = GalleryDetails.line(["title", "content", "description", "caption"].map { json[$0] })
        performer = GalleryDetails.line(
            ["artist", "author", "user", "uploader", "username"].flatMap { key in
                [json[key]?["nick"], json[key]?["name"], json[key]]
            })
        fileName = GalleryDetails.line([json["filename"]])
    }

    private static func line(_ values: [JSON?]) -> String? {
        values.lazy.compactMap { $0?.string.flatMap { OneLine($0)?.text } }.first
    }
}

/// Lists files of a gallery.
struct Gallery: Sendable, Equatable {
    struct Item: Sendable, Equatable {
        /// The place in the gallery, from 1 on.
        let place: Int64
        let title: String?
        /// Names the file wherever it stands; nil if another file of the list would have the same name.
        var id: String?
        let file: GalleryFile?
        /// Is true unless the file's name is that of a video or of sound.
        let isPicture: Bool
    }

    let details: GalleryDetails
    let items: [Item]
    /// The link of the first list, if the link leads to a list of lists, such as the galleries of an artist.
    let firstList: String?

    /// The numbers with which gallery-dl marks what it found.
    private enum Mark {
        static let failure: Int64 = -1
        static let gallery: Int64 = 2
        static let file: Int64 = 3
        static let list: Int64 = 6
    }

    /// Reads gallery-dl's answer: `[[2, {…}], [3, "https://…", {…}], …]`.
    ///
    /// - Parameter range: the places that were asked for.
    /// - Throws: the reason if nothing was found.
    init(_ answer: JSON, _ range: ItemRange) throws(MediaError) {
        var (details, items, first) = (GalleryDetails([:]), [Item](), String?.none)
        var urls: [String: Set<String>] = [:]
        for message in answer.array ?? [] {
            guard let parts = message.array, let mark = parts.first?.int else { continue }
            switch mark {
            case Mark.gallery where items.isEmpty: details = GalleryDetails(parts.last?.object ?? [:])
            case Mark.file where items.count < Int(clamping: range.count) && parts.count > 1:
                let found = parts.last?.object ?? [:]
                let own = GalleryDetails(found)
                let url = parts[1].string
                let id = url.map { GalleryFileID.id(ofFile: $0, found) }
                if let url, let id { urls[id, default: []].insert(url) }
                let place = range.first + Int64(items.count)
                guard MediaVariant.items.contains(place) else { continue }
                let ending = parts.last?["extension"]?.string ?? ""
                items.append(
                    Item(
                        place: place, title: own.title ?? own.fileName, id: id,
                        file: url.flatMap { GalleryFile(url: $0, performer: own.performer, fileName: own.fileName) },
                        isPicture: !Gallery.otherExtensions.contains(ending.lowercased())))
            case Mark.list: first = first ?? (parts.count > 1 ? parts[1].string : nil)
            case Mark.failure where items.isEmpty && first == nil:
                throw GalleryMessage.error(
                    [parts.last?["error"]?.string, parts.last?["message"]?.string].compactMap { $0 }, status: 1)
            default: continue
            }
        }
        for index in items.indices where items[index].id.map({ urls[$0]?.count != 1 }) ?? false {
            items[index].id = nil
        }
        (self.details, self.items, firstList) = (details, items, first)
    }

    /// The extensions of files that are no pictures.
    private static let otherExtensions: Set<String> = [
        "mp4", "m4v", "mov", "webm", "mkv", "avi", "flv", "ts", "mpg", "mp3", "m4a", "aac", "ogg", "opus", "wav",
        "flac", "zip", "rar", "7z", "pdf", "swf", "txt", "html",
    ]
}
