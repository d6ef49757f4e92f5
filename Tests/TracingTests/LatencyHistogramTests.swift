import Testing
import Tracing

@Suite struct LatencyHistogramTests {
    @Test func `Quantiles are right up to a fourth`() throws {
        var histogram = LatencyHistogram()
        for milliseconds in 1...1000 { histogram.add(.milliseconds(milliseconds)) }
        for (part, expected) in [(0.5, 500.0), (0.99, 990), (1, 1000), (0, 1)] {
            let found = try #require(histogram.quantile(part)) / .milliseconds(1)
            #expect((expected...expected * 1.26).contains(found), "\(part): \(found)")
        }
        #expect(histogram.count == 1000)
    }

    @Test func `Any duration can be added`() throws {
        var histogram = LatencyHistogram()
        for duration in [Duration.zero, .seconds(-5), .nanoseconds(1), .seconds(Int64.max), .microseconds(3)] {
            histogram.add(duration)
        }
        histogram.add(microseconds: .max)
        #expect(histogram.count == 6)
        #expect(try #require(histogram.quantile(0.5)) == .zero)
        #expect(try #require(histogram.quantile(1)) > .seconds(86_400))
        #expect(LatencyHistogram().quantile(0.5) == nil)
    }

    @Test func `The durations since an earlier state are counted alone`() throws {
        var histogram = LatencyHistogram()
        for _ in 0..<100 { histogram.add(.seconds(1)) }
        let earlier = histogram
        for _ in 0..<10 { histogram.add(.milliseconds(1)) }
        let rest = histogram.since(earlier)
        #expect(rest.count == 10)
        #expect(try #require(rest.quantile(0.99)) < .milliseconds(2))
    }
}
