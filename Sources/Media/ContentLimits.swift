import JSON
import Payloads
import System

/// Limits which media are fetched by what they are, and not by how many bytes they have.
package struct ContentLimits: Sendable {
    /// The longest time that the wanted part of the media may play.
    package var longest: Duration?
    /// The age of the viewers: media that a site rates for older people are refused.
    package var viewerAge: Int64?

    package init() {}

    /// Refuses a video by its description, before it is downloaded.
    ///
    /// - Throws: `tooLong`, or `overAgeLimit`.
    func check(_ info: VideoInfo, _ variant: MediaVariant) throws(MediaError) {
        if let viewerAge, let age = info.viewerAge, age > viewerAge {
            throw MediaError(
                .overAgeLimit, "The site rates that \(age)+, and this bot does not fetch such videos.")
        }
        try check(seconds: info.durationSeconds, variant)
    }

    /// Refuses media whose wanted part plays too long; media whose length is not known pass.
    ///
    /// - Throws: `tooLong`.
    func check(seconds: Double?, _ variant: MediaVariant) throws(MediaError) {
        guard let longest, let seconds = variant.cut.map({ $0.seconds(of: seconds) }) ?? seconds else { return }
        let limit = Double(longest.milliseconds) / 1000
        // Lengths that sites name are rounded.
        guard seconds >= limit + 1 else { return }
        throw MediaError(
            .tooLong, "That is too long: \(Clock.text(seconds)), and the limit is \(Clock.text(limit)).")
    }
}
