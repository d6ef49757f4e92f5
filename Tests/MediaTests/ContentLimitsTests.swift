import JSON
import Payloads
import Testing

@testable import Media

@Suite struct ContentLimitsTests {
    private func limits(seconds: Int64? = nil, age: Int64? = nil) -> ContentLimits {
        var limits = ContentLimits()
        (limits.longest, limits.viewerAge) = (seconds.map { .seconds($0) }, age)
        return limits
    }

    private func refusal(
        _ limits: ContentLimits, _ info: JSONObject, _ variant: MediaVariant = .standard
    ) throws -> MediaError? {
        let info = try VideoInfo(info)
        do throws(MediaError) { try limits.check(info, variant) } catch { return error }
        return nil
    }

    @Test func `Media that play too long are refused, and what is not known passes`() throws {
        let film: JSONObject = ["id": "a", "duration": 3725.4]
        let error = try #require(try refusal(limits(seconds: 600), film))
        #expect(error.code == .tooLong && error.reason == "That is too long: 1:02:05, and the limit is 10:00.")
        #expect(!error.isTransient)
        #expect(try refusal(limits(seconds: 3725), film) == nil, "sites round lengths")
        #expect(try refusal(limits(seconds: 600), ["id": "a"]) == nil)
        #expect(try refusal(limits(), film) == nil)
        #expect(try refusal(limits(seconds: 600), ["id": "a", "duration": 1e300])?.code == .tooLong)
    }

    @Test func `The length of the wanted part counts`() throws {
        let film: JSONObject = ["id": "a", "duration": 36_000]
        func cut(_ start: Int64, _ end: Int64?) -> MediaVariant {
            MediaVariant(cut: MediaVariant.Cut(start: start * 1000, end: end.map { $0 * 1000 }))
        }
        #expect(try refusal(limits(seconds: 60), film, cut(10, 60)) == nil)
        #expect(try refusal(limits(seconds: 60), film, cut(10, 90))?.code == .tooLong)
        #expect(try refusal(limits(seconds: 60), film, cut(10, nil))?.code == .tooLong)
        #expect(try refusal(limits(seconds: 60), film, cut(35_950, nil)) == nil)
    }

    @Test func `Videos for older people are refused`() throws {
        #expect(try refusal(limits(age: 16), ["id": "a", "age_limit": 18])?.code == .overAgeLimit)
        for age: JSON in [18.0, 1e300, "18", [18]] {
            #expect(try refusal(limits(age: 16), ["id": "a", "age_limit": age])?.code == .overAgeLimit)
        }
        for age: JSON in [16, 0, .null, -1e300] {
            #expect(try refusal(limits(age: 16), ["id": "a", "age_limit": age]) == nil)
        }
        #expect(try refusal(limits(), ["id": "a", "age_limit": 18]) == nil)
    }
}
