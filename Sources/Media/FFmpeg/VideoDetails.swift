import Glibc
import JSON
package import Payloads
import System

/// Finds out what Telegram has to be told about a video or a sound file, with ffprobe and ffmpeg. Telegram itself looks
/// only into small files: a larger one without these details is shown as a black square of length 0.
package struct VideoDetails: Sendable {
    private static let timeout = Duration.seconds(30)
    /// The most bytes of a preview that Telegram accepts.
    private static let maxPreviewBytes: Int64 = 200_000

    private let path: String
    private let probe: MediaProbe

    /// Probes a file.
    ///
    /// - Returns: nil if it is no readable media, or if ffprobe is not installed.
    package init?(of path: String) async {
        let ffmpeg = FFmpeg(deadline: .now + VideoDetails.timeout, maxBytes: VideoDetails.maxPreviewBytes)
        guard let probe = try? await ffmpeg.probe(path) else { return nil }
        (self.path, self.probe) = (path, probe)
    }

    /// The details that the caller does not know, added to those that it knows.
    package func completing(_ known: MediaDescription) -> MediaDescription {
        var all = known
        all.durationSeconds = known.durationSeconds ?? probe.durationSeconds.map { JSONNumber($0) }
        all.width = known.width ?? probe.width.map { Int64($0) }
        all.height = known.height ?? probe.height.map { Int64($0) }
        return all
    }

    /// Makes a preview picture: a JPEG of at most 320 pixels, from the first second.
    ///
    /// - Returns: whether the file was written.
    package func makePreview(_ output: String) async -> Bool {
        guard probe.hasVideo else { return false }
        let ffmpeg = FFmpeg(deadline: .now + VideoDetails.timeout, maxBytes: VideoDetails.maxPreviewBytes)
        do {
            try await ffmpeg.makePreview(of: path, to: output, probe: probe)
        } catch {
            return false
        }
        var status = stat()
        guard stat(output, &status) == 0, status.st_size > 0 else {
            unlink(output)
            return false
        }
        return true
    }
}
