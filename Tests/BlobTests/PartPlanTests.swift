import Testing

@testable import Blob

@Suite struct PartPlanTests {
    private let mebibyte: Int64 = 1 << 20

    @Test func `Parts cover the file without gaps or overlap`() throws {
        for size in [1, 5 * mebibyte, 5 * mebibyte + 1, 100 * mebibyte - 1, 100 * mebibyte] {
            let plan = try PartPlan(sizeBytes: size, wantedBytes: 5 << 20)
            var end: Int64 = 0
            for number in 1...plan.count {
                let range = plan.range(number)
                #expect(range.offset == end)
                #expect(range.count > 0)
                end += range.count
            }
            #expect(end == size)
        }
    }

    @Test func `Parts grow so that their number stays within S3's limit`() throws {
        let plan = try PartPlan(sizeBytes: 200 << 30, wantedBytes: 5 << 20)
        #expect(plan.count <= 10_000)
        #expect(plan.partBytes == 21 * mebibyte)
        #expect(try PartPlan(sizeBytes: 10_000 * 5 * mebibyte, wantedBytes: 5 << 20).count == 10_000)
        #expect(try PartPlan(sizeBytes: 10_000 * 5 * mebibyte + 1, wantedBytes: 5 << 20).count <= 10_000)
    }

    @Test func `An empty file is one empty part`() throws {
        let plan = try PartPlan(sizeBytes: 0, wantedBytes: 5 << 20)
        #expect(plan.count == 1)
        #expect(plan.range(1) == (0, 0))
    }

    @Test func `A file too large for 10,000 parts is refused`() {
        #expect { try PartPlan(sizeBytes: 10_000 * (5 << 30) + 1, wantedBytes: 5 << 20) } throws: {
            ($0 as? BlobError)?.code == .tooLarge
        }
    }

    @Test func `Progress never goes backwards`() {
        let seen = Seen()
        let progress = PartsProgress { seen.add($0) }
        progress.part(1, 100)
        progress.part(2, 50)
        progress.part(1, 10)
        progress.part(1, 90)
        progress.part(1, 120)
        #expect(seen.values == [100, 150, 170])
    }
}
