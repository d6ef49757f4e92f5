import AccountAPI
import Blob
import BotAPI
import Crypto
import Envelope
import Glibc
import JSON
import Logging
import Media
import Options
import Payloads
import Stage
import System

/// Turns a video that is too large into several events, one for each part.
struct SplitStage: Sendable {
    let runtime: Runtime
    let uploadLimit: UploadLimit
    let cache: MediaCache
    /// The folder for the folders of ffmpeg's output.
    let workFolder: String
    let options: PartOptions

    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let media = try DownloadReady(event)
        // A part of a part would need a place in two groups; see `EventGroup.parts`.
        guard media.kind == .video, media.metadata.content.contentType == "video/mp4", event.group?.parts == nil,
            let size = media.metadata.content.sizeBytes
        else { return .done([event]) }
        let limit = await limitBytes
        guard size > limit else { return .done([event]) }
        do throws(MediaError) {
            guard let parts = try await parts(of: media, upTo: limit, context) else { return .done([event]) }
            runtime.log.info(
                "cut into parts",
                metadata: ["key": "\(media.key)", "parts": .stringConvertible(parts.count)])
            return .done(parts.enumerated().map { self.event($1, place: ($0 + 1, parts.count), media, event.group) })
        } catch {
            runtime.log.warning("unable to cut the video: \(error.reason)", metadata: ["key": "\(media.key)"])
            return .done([event])
        }
    }

    /// The size of the largest part.
    private var limitBytes: Int64 {
        get async {
            if let bytes = options.maxSize?.bytes { return bytes }
            return await uploadLimit.bytes() ?? BotAPI.localUploadLimitBytes
        }
    }

    /// Represents a part and the key under which it is kept.
    private struct KeptPart {
        let part: VideoParts.Part
        let key: String
    }

    /// - Returns: nil if the video cannot be cut, or its file is not at hand.
    private func parts(
        of media: DownloadReady, upTo limitBytes: Int64, _ context: WorkContext
    ) async throws(MediaError) -> [KeptPart]? {
        guard let path = await localPath(of: media) else { return nil }
        let folder = "\(workFolder)/\(EventID())"
        defer { removeTree(folder) }
        guard makeFolders(folder, mode: 0o700).error == 0 else { return nil }
        let progress = Envelope.derived(
            MediaProgress(.converting, kind: .video, title: media.metadata.description.title))
        // Without a reader, the next event ends the tool.
        try? await context.publisher.publish(progress)
        let maker = VideoParts(
            ffmpeg: options.ffmpeg, jail: HelperJail(), limitBytes: limitBytes, timeout: options.timeout.duration)
        guard let made = try await maker.make(from: path, in: folder) else { return nil }
        var kept: [KeptPart] = []
        for (number, part) in made.enumerated() {
            let key = key(of: media, upTo: limitBytes, number + 1, made.count)
            guard let place = cache.take(part.path, as: key) else { return nil }
            let moved = VideoParts.Part(path: place, sizeBytes: part.sizeBytes, durationSeconds: part.durationSeconds)
            kept.append(KeptPart(part: moved, key: key))
        }
        return kept
    }

    /// Returns the path of a file that is the whole video; it comes from the store if there is no copy here.
    private func localPath(of media: DownloadReady) async -> String? {
        let size = media.metadata.content.sizeBytes
        let store = media.store.flatMap { try? openStore($0) }
        for path in [media.path, cache.path(of: media.key), store?.localPath(media.storedKey)].compactMap({ $0 }) {
            var info = stat()
            if stat(path, &info) == 0, Int64(info.st_size) == size { return path }
        }
        guard let store, let temporary = cache.temporaryPath() else { return nil }
        defer { unlink(temporary) }
        do {
            _ = try await store.get(media.storedKey, to: temporary)
        } catch {
            runtime.log.warning("unable to read the stored video: \(error.message)")
            return nil
        }
        return cache.take(temporary, as: media.key)
    }

    /// Returns the address under which a part is kept: equal parts of equal videos have one.
    private func key(of media: DownloadReady, upTo limitBytes: Int64, _ number: Int, _ count: Int) -> String {
        let name = "part \(number)/\(count)\n\(limitBytes)\n\(media.key)"
        return "\(MediaKind.video.rawValue)/\(SHA256.hexDigest(Array(name.utf8))).mp4"
    }

    private func event(
        _ kept: KeptPart, place: (number: Int, count: Int), _ media: DownloadReady, _ group: EventGroup?
    ) -> Envelope {
        let (part, (number, count)) = (kept.part, place)
        var metadata = media.metadata
        metadata.content = FileContent(sizeBytes: part.sizeBytes, sha256: nil, contentType: "video/mp4")
        metadata.description.durationSeconds = part.durationSeconds.map { JSONNumber($0) }
        metadata.description.title = "\(metadata.description.title.map { "\($0) " } ?? "")(\(number)/\(count))"
        metadata.fileName = metadata.fileName.map { name in
            let stem = name.hasSuffix(".mp4") ? String(name.dropLast(4)) : name
            return "\(stem) (\(number) of \(count)).mp4"
        }
        var event = Envelope.derived(
            DownloadReady(
                kind: .video, key: kept.key, path: part.path, metadata: metadata,
                store: media.store ?? "file:/", isCached: media.isCached))
        event.group =
            group?.part(Int64(number), of: Int64(count)) ?? EventGroup(item: Int64(number), count: Int64(count))
        return event
    }
}
