import Glibc
import HTTP
package import Payloads
import System

extension FetchRun {
    /// Downloads the wanted picture of a page.
    ///
    /// - Throws: `playlist` if there are several, and none of them was named.
    func extractPicture() async throws(MediaError) -> Raw {
        if let file = job.picture, let raw = try await knownPicture(file) { return raw }
        let gallery = settings.galleryDl(for: job.identity, in: folder, deadline: deadline)
        let url = job.identity.fetchURL
        if job.variant.item == nil, let firstTwo = ItemRange(1, 2) {
            let found = try await gallery.list(url, firstTwo)
            guard !found.items.isEmpty else { throw GalleryMessage.noPictures }
            guard found.items.count == 1 else {
                throw MediaError(.playlist, "There are several pictures at that link; send the link of one of them.")
            }
        }
        var picture = try await gallery.download(url, item: job.variant.item ?? 1, onProgress)
        if let wanted = job.variant.itemID, let found = picture.id, found != wanted, let item = job.variant.item,
            let place = try await place(of: wanted, near: item, in: gallery), place != item
        {
            picture = try await gallery.download(url, item: place, onProgress)
        }
        return Raw(
            path: picture.path, fileName: picture.details.fileName.map { "\($0).bin" }, details: picture.details)
    }

    /// A gallery that has grown by more than this since it was listed is not searched.
    private static let mostNewPictures: Int64 = 200
    /// A picture up to this place is looked for in the gallery if the program is signed in to the site: what servers send to strangers may be
    /// another picture.
    private static let lastNearPlace: Int64 = 20

    /// Downloads a file of a gallery from its own URL. A program that goes through the gallery to a place far behind its start takes long.
    ///
    /// - Returns: nil if that is no way to get it.
    /// - Throws: what would not be different if the gallery were gone through.
    private func knownPicture(_ file: GalleryFile) async throws(MediaError) -> Raw? {
        let isNear = job.variant.item ?? 1 <= FetchRun.lastNearPlace
        guard site?.proxy == nil, settings.sites.site(of: file.url)?.proxy == nil,
            !isNear || !settings.isSignedIn(to: job.identity.fetchURL)
        else { return nil }
        do throws(MediaError) {
            let outcome = try await download(
                file.url, settings.addressPolicy, acceptsPages: false, referrer: job.identity.fetchURL)
            guard case .file(let downloaded) = outcome else { return nil }
            var raw = self.raw(downloaded)
            if let name = file.fileName { raw.fileName = "\(name).bin" }
            raw.performer = file.performer
            if PictureHeader(ofFile: raw.path) == nil, try raw.probe?.get()?.hasVideo != true {
                unlink(raw.path)
                return nil
            }
            return raw
        } catch {
            guard [.tooLarge, .noSpace, .cancelled].contains(error.code) else { return nil }
            throw error
        }
    }

    /// Returns the place of a file in a gallery that has changed since it was listed; nil if it is not there.
    private func place(
        of wanted: String, near item: Int64, in gallery: GalleryDl
    ) async throws(MediaError) -> Int64? {
        guard let range = ItemRange(1, min(item + FetchRun.mostNewPictures, MediaVariant.items.upperBound)) else {
            return nil
        }
        return try await gallery.list(job.identity.fetchURL, range).items.first { $0.id == wanted }?.place
    }

    /// Finishes a picture as it is, or a video of a gallery as an mp4.
    func finishPicture(_ raw: Raw, _ probe: MediaProbe?) async throws(MediaError) -> MediaFetched {
        if let header = PictureHeader(ofFile: raw.path) {
            var raw = raw
            raw.picture = header
            let kind = FileKind(header.format.contentType, fileExtension: header.format.fileExtension)
            return try await finish(raw, nil, raw.path, raw.isOurs, kind)
        }
        if let probe, probe.hasVideo { return try await finishVideo(raw, probe) }
        if raw.isOurs { unlink(raw.path) }
        throw MediaError(.noPictures, "What is at that link is no picture.")
    }
}

extension MediaSettings {
    /// Returns gallery-dl for one job.
    func galleryDl(
        for identity: SourceIdentity, in folder: JobFolder, deadline: ContinuousClock.Instant
    ) -> GalleryDl {
        let site = sites.site(of: identity.fetchURL)
        return GalleryDl(
            program: SiteProgram(
                settings: galleryDl.adapted(to: site, adding: \.galleryArguments), proxy: site?.proxy, helpers: [],
                jail: jail, folder: folder, name: "gallery-dl", addressPolicy: addressPolicy, maxBytes: maxBytes,
                deadline: deadline, minimumRate: minimumRate, site: site))
    }
}

extension MediaFetcher {
    /// Lists the pictures of a link.
    ///
    /// - Parameters:
    ///   - range: the wanted places. One more is asked for, to see whether the gallery goes on.
    ///   - readsAccountPages: whether the list may be one of the account that the program is signed in with.
    /// - Returns: the list, which has up to one item more than the range, and at least one.
    /// - Throws: `MediaError`, `noPictures` if there are none.
    package func pictures(
        _ identity: SourceIdentity, _ range: ItemRange, readsAccountPages: Bool = true
    ) async throws(MediaError) -> MediaList {
        let range = ItemRange(range.first, min(range.last + 1, MediaVariant.items.upperBound)) ?? range
        let found = try await gallery(identity, range)
        // A list of galleries stands for its first one, which is the newest at most sites.
        if found.items.isEmpty, let link = found.firstList, let first = SourceIdentity(link) {
            if !readsAccountPages, settings.isAccountPage(first.fetchURL) { throw .accountPage }
            return try MediaList(try await gallery(first, range), range, of: first)
        }
        return try MediaList(found, range, of: nil)
    }

    private func gallery(_ identity: SourceIdentity, _ range: ItemRange) async throws(MediaError) -> Gallery {
        let hash = ContentAddress(.image, identity).hash
        let deadline = ContinuousClock.now + settings.deadline
        let folder = try await JobFolder.open(root: settings.directory, hash: hash, deadline: deadline) {}
        defer {
            folder.remove()
            folder.unlock()
        }
        return try await settings.galleryDl(for: identity, in: folder, deadline: deadline)
            .list(identity.fetchURL, range)
    }
}

extension MediaList {
    /// - Parameter link: the page of the gallery, if it is another one than that of the request.
    fileprivate init(_ gallery: Gallery, _ range: ItemRange, of link: SourceIdentity?) throws(MediaError) {
        guard let last = gallery.items.last else {
            throw range.first > 1
                ? MediaError(.noSuchPart, "There are fewer pictures than the part you asked for.")
                : GalleryMessage.noPictures
        }
        let isWhole = gallery.items.count < Int(clamping: range.count)
        self.init(
            title: gallery.details.title, count: isWhole ? last.place : nil,
            items: gallery.items.map { item in
                Item(
                    url: link?.sourceURL, place: item.place, title: item.title, isPart: true, fileID: item.id,
                    file: item.file)
            }, hasPictures: gallery.items.contains(where: \.isPicture))
    }
}
