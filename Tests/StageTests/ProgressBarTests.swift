import System
import JSON
import Testing

@testable import Stage

@Suite struct ProgressBarTests {
    @Test func `Sizes are decimal`() {
        let sizes: [Int64] = [0, 999, 1000, 1_500_000, 999_950_000, 2_000_000_000]
        #expect(sizes.map(ByteCount.text) == ["0 B", "999 B", "1.0 kB", "1.5 MB", "1.0 GB", "2.0 GB"])
    }

    @Test func `The line fits the terminal`() {
        let progress = ProgressBar.Figures(
            title: "A\u{1B}title", state: "downloading", fraction: 0.6, doneBytes: 12_000_000, totalBytes: 20_000_000,
            bytesPerSecond: 4e6)
        let line = ProgressBar.line(progress, columns: 120)
        #expect(line == "A title  downloading  [############--------] 60%  12.0 MB of 20.0 MB  4.0 MB/s  0:02")
        for columns in [20, 40, 80, 100] {
            #expect(ProgressBar.line(progress, columns: columns).count < columns)
        }
        #expect(ProgressBar.line(ProgressBar.Figures(title: nil, state: "converting"), columns: 80) == "converting")
    }
}
