import Envelope
import Logging
import Media
import Payloads
import Redis
import Stage
import System

/// Turns a request for a list into requests for its videos.
struct ExpandStage: Sendable {
    let runtime: Runtime
    let fetcher: MediaFetcher
    /// The most videos of one request.
    let maxItems: Int64
    /// Is true if links are looked at only for requests with a range.
    let onlyAsked: Bool

    /// The time for which a link is known to lead to a single video, in seconds.
    private static let rememberedFor: Int64 = 86_400

    /// Returns the request of an event that the tool cannot look at any more. media-fetch tells the person if it is for a list.
    @Sendable func giveUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        (try? MediaDownload(event)).map { [event.single($0)] } ?? [event]
    }

    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let download = try MediaDownload(event)
        guard event.group == nil, !event.isRateLimited, download.variant.item == nil, let link = download.source.url,
            download.items != nil || !onlyAsked, let identity = await identity(of: link),
            try await needsLook(download, identity)
        else { return .done([event.single(download)]) }
        if !event.isOfOperator, fetcher.isAccountPage(identity, asList: download.items != nil) {
            return .done([failure(download, .accountPage)])
        }
        try await context.publisher.publish(.derived(MediaProgress(.accepted, kind: download.kind)))
        let range = (download.items ?? ItemRange(1, maxItems))?.limited(to: maxItems)
        guard let range else { return .done([event.single(download)]) }
        var found: (list: MediaList?, hasNoVideo: Bool) = (nil, false)
        if download.kind == .image {
            found.list = await pictures(identity, range, event)
        } else {
            found = await list(identity, range, isAskedFor: download.items != nil, event)
        }
        // A post without a video can have pictures, which the person most likely means.
        if found.hasNoVideo, download.kind == .video, let pictures = await pictures(identity, range, event),
            pictures.hasPictures
        {
            return .done(requests(download.pictures, identity, pictures, range))
        }
        guard let list = found.list else { return .done([event.single(download)]) }
        if download.items == nil, list.items.count < 2 {
            await remember(identity, download.kind)
            return .done([event.single(download)])
        }
        guard !list.items.isEmpty else { return .done([failure(download, list)]) }
        let requests = requests(download, identity, list, range)
        runtime.log.info(
            "a list",
            metadata: [
                "items": .stringConvertible(requests.count), "whole": .stringConvertible(list.count ?? 0),
            ])
        return .done(requests)
    }

    private func identity(of link: String) async -> SourceIdentity? {
        // The stage that fetches tells the person what is wrong with the link.
        do throws(MediaError) { return try await fetcher.identify(link) } catch { return nil }
    }

    private func needsLook(_ download: MediaDownload, _ identity: SourceIdentity) async throws -> Bool {
        if download.items != nil { return true }
        let mayLead = download.kind == .image ? !identity.isFile : identity.mayLeadToSeveral
        return mayLead ? await !isKnownAsSingle(identity, download.kind) : false
    }

    /// - Returns: the list, nil if there is none; and whether the reason is that the page has no video.
    private func list(
        _ identity: SourceIdentity, _ range: ItemRange, isAskedFor: Bool, _ event: Envelope
    ) async -> (MediaList?, hasNoVideo: Bool) {
        do throws(MediaError) {
            let isOfOperator = event.isOfOperator
            let list = try await fetcher.list(
                identity, range, isAskedFor: isAskedFor, readsAccountPages: isOfOperator)
            guard let part = list?.firstList else { return (list, false) }
            // A channel is a list of lists, of which the first one has its videos.
            let videos = try await fetcher.list(
                part, range, isAskedFor: isAskedFor, readsAccountPages: isOfOperator)
            return (videos ?? list, false)
        } catch {
            runtime.log.notice("unable to look at the link: \(error.reason)")
            return (nil, error.code == .noMedia || error.code == .unsupported)
        }
    }

    private func pictures(_ identity: SourceIdentity, _ range: ItemRange, _ event: Envelope) async -> MediaList? {
        do throws(MediaError) {
            return try await fetcher.pictures(identity, range, readsAccountPages: event.isOfOperator)
        } catch {
            runtime.log.notice("unable to look for pictures: \(error.reason)")
            return nil
        }
    }

    // MARK: Requests

    private func requests(
        _ download: MediaDownload, _ identity: SourceIdentity, _ list: MediaList, _ range: ItemRange
    ) -> [Envelope] {
        let items = list.items.prefix(Int(clamping: range.count))
        let next = next(after: items.last?.place ?? range.last, list, range)
        return items.enumerated().map { number, item in
            var variant = download.variant
            if item.isPart { (variant.item, variant.itemID) = (item.place, item.fileID) }
            var request = MediaDownload(
                kind: download.kind, source: .url(item.url ?? identity.sourceURL), variant: variant.of(download.kind))
            request.picture = item.file
            var event = Envelope.derived(request)
            event.group = EventGroup(
                item: Int64(number + 1), count: Int64(items.count), title: item.title, next: next)
            return event
        }
    }

    /// Returns the places of the next videos; nil if the list is at its end.
    private func next(after last: Int64, _ list: MediaList, _ range: ItemRange) -> ItemRange? {
        let end = list.count ?? (list.items.last.map { $0.place > last ? last + range.count : 0 } ?? 0)
        guard end > last else { return nil }
        return ItemRange(last + 1, min(end, last + range.count))
    }

    private func failure(_ download: MediaDownload, _ list: MediaList) -> Envelope {
        let word = download.kind == .image ? "pictures" : "videos"
        let count = list.count.map { ": it has \($0) \(word)" } ?? ""
        return failure(
            download, MediaError(.noSuchPart, "That list is shorter than the part you asked for\(count)."))
    }

    private func failure(_ download: MediaDownload, _ error: MediaError) -> Envelope {
        .derived(
            DownloadFailed(
                kind: download.kind, url: download.source.url, code: error.code.rawValue, reason: error.reason,
                isTransient: false))
    }

    // MARK: Links to single videos

    private func key(_ identity: SourceIdentity, _ kind: MediaKind) -> RedisArgument {
        .text("tgpipe:single:\(ContentAddress(kind == .image ? .image : .video, identity).hash)")
    }

    private func isKnownAsSingle(_ identity: SourceIdentity, _ kind: MediaKind) async -> Bool {
        await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send("EXISTS", key(identity, kind)).int == 1
        } ?? false
    }

    private func remember(_ identity: SourceIdentity, _ kind: MediaKind) async {
        _ = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send("SET", key(identity, kind), 1, "EX", .integer(ExpandStage.rememberedFor))
        }
    }
}

extension MediaDownload {
    /// The request for the pictures of the same source.
    fileprivate var pictures: MediaDownload {
        MediaDownload(kind: .image, source: source, variant: variant.of(.image), items: items)
    }
}

extension Envelope {
    /// Returns the event as a request for a single video.
    fileprivate func single(_ download: MediaDownload) -> Envelope {
        guard download.items != nil else { return self }
        var download = download
        download.items = nil
        return .derived(download)
    }
}
