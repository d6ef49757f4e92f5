import BotAPI
import Blob
import Glibc
import HTTP
import JSON
import Logging
import Media
import Stage
import System

/// Makes the preview picture of a video before its upload. Telegram makes one itself for small videos only.
struct VideoPreview: Sendable {
    /// The size from which on a video gets a preview.
    private static let smallestVideoBytes: Int64 = 5_000_000

    let runtime: Runtime

    /// Runs `body` with the upload, to which a preview is added if the file is a large video. Without ffmpeg, or for a
    /// video that it cannot read, the upload stays as it is.
    func adding(
        to upload: MediaUpload, _ body: (MediaUpload) async throws(TelegramError) -> JSON
    ) async throws(TelegramError) -> JSON {
        guard upload.kind == "video", upload.content.count >= VideoPreview.smallestVideoBytes,
            let path = await picture(of: upload.path)
        else { return try await body(upload) }
        defer { unlink(path) }
        guard let file = OpenFile(path: path) else { return try await body(upload) }
        var upload = upload
        upload.preview = MediaUpload.Preview(
            path: path, content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes))
        let result = try await body(upload)
        _ = file
        return result
    }

    private func picture(of video: String) async -> String? {
        guard let folder = try? runtime.directory("media/preview"), let details = await VideoDetails(of: video) else {
            return nil
        }
        let path = "\(folder)/\(getpid())-\(UInt64.random(in: 0...UInt64.max)).jpg"
        guard await details.makePreview(path) else {
            runtime.log.debug("unable to make a preview of the video")
            return nil
        }
        return path
    }
}
