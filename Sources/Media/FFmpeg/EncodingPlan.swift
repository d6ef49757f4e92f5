import Payloads
import System

/// Says when and how long videos are encoded anew, so that they fit what can be sent.
package struct ReencodeSettings: Sendable {
    /// The largest result.
    package var limitBytes: Int64
    /// The longest time that one encoding may take.
    package var budget: Duration
    /// Is true if a video that cannot be made to fit fails; otherwise it is delivered as it is.
    package var isRequired: Bool

    package init(limitBytes: Int64, budget: Duration, isRequired: Bool) {
        (self.limitBytes, self.budget, self.isRequired) = (limitBytes, budget, isRequired)
    }
}

/// Divides the bytes of a limit between picture and sound, and finds the size of the picture for which they do.
struct EncodingPlan: Sendable, Equatable {
    let videoBitsPerSecond: Int64
    let audioBitsPerSecond: Int64
    /// The shorter side of the picture, in pixels; nil for the size that it has.
    let height: Int64?

    static let framesPerSecond: Int64 = 30
    /// The bits for each pixel of a picture below which H.264 shows blocks.
    private static let leastBitsPerPixel = 0.04
    /// The shorter sides that are tried, and the smallest of them.
    private static let heights: [Int64] = [1080, 720, 540, 480, 360, 288, 240]
    /// The share of the limit that index and interleaving need, and by which the encoder may miss the rate.
    private static let usedShare = 0.92

    /// Returns nil if the picture would become too poor.
    ///
    /// - Parameters:
    ///   - seconds: the length of the result.
    ///   - share: a factor for the limit, for another attempt with fewer bits.
    init?(probe: MediaProbe, seconds: Double, limitBytes: Int64, share: Double = 1) {
        guard seconds > 0, limitBytes > 0, let width = probe.width, let tall = probe.height, width > 0, tall > 0 else {
            return nil
        }
        let total = Double(limitBytes) * 8 / seconds * EncodingPlan.usedShare * share
        let audio = probe.hasAudio ? (total > 700_000 ? 128_000.0 : total > 300_000 ? 96_000 : 48_000) : 0
        // More than this is not needed by any picture.
        let video = min(total - audio, 40_000_000)
        let (short, long) = (Double(min(width, tall)), Double(max(width, tall)))
        let sizes = [Int64(min(width, tall))] + EncodingPlan.heights.filter { Double($0) < short }
        let size = sizes.first { side in
            let pixels = Double(side) * Double(side) * long / short
            return video >= pixels * Double(EncodingPlan.framesPerSecond) * EncodingPlan.leastBitsPerPixel
        }
        guard let size else { return nil }
        (videoBitsPerSecond, audioBitsPerSecond) = (Int64(video), Int64(audio))
        height = Double(size) < short ? size : nil
    }

    /// The options of ffmpeg but for the filters.
    var videoOptions: [String] {
        [
            "-c:v", "libx264", "-preset", "veryfast", "-b:v", "\(videoBitsPerSecond)", "-maxrate",
            "\(videoBitsPerSecond * 3 / 2)", "-bufsize", "\(videoBitsPerSecond * 3)", "-pix_fmt", "yuv420p", "-fpsmax",
            "\(EncodingPlan.framesPerSecond)",
        ]
    }

    var audioOptions: [String] {
        ["-c:a", "aac", "-b:a", "\(audioBitsPerSecond)", "-ac", audioBitsPerSecond > 48_000 ? "2" : "1"]
    }
}
