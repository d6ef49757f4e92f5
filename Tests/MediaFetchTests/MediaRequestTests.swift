import Envelope
import JSON
import Testing

@testable import media_fetch

@Suite struct MediaRequestTests {
    @Test(arguments: [(1.2, 2), (1e300, nil), (-1e300, nil)] as [(Double, Int64?)])
    func `The retry time of a rate-limited request is read`(given: Double, seconds: Int64?) throws {
        var event = Envelope(
            type: "commands.media.video_download", payload: ["url": "https://example.com/"])
        event.meta["rate_limited"] = true
        event.meta["rate_limit"] = ["retry_after_seconds": .number(given)]
        let request = try MediaRequest(event)
        #expect(request.isRateLimited)
        #expect(request.retryAfterSeconds == seconds)
    }
}
