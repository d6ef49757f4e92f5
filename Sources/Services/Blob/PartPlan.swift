/// How a file is cut: parts of equal size but the last.
struct PartPlan: Equatable {
    static let maxParts: Int64 = 10_000

    let sizeBytes: Int64
    let partBytes: Int64

    /// - Parameter wantedBytes: the part size, unless that made more parts than S3 takes.
    /// - Throws: `.tooLarge` above what 10,000 of the largest parts hold.
    init(sizeBytes: Int64, wantedBytes: Int64) throws(BlobError) {
        let mebibyte: Int64 = 1 << 20
        let least = (sizeBytes + PartPlan.maxParts - 1) / PartPlan.maxParts
        self.sizeBytes = sizeBytes
        partBytes = max(wantedBytes, (least + mebibyte - 1) / mebibyte * mebibyte)
        guard partBytes <= S3Configuration.maxPartBytes else {
            throw BlobError(.tooLarge, "a file of \(sizeBytes) bytes is more than S3 takes")
        }
    }

    var count: Int { max(1, Int((sizeBytes + partBytes - 1) / partBytes)) }

    /// - Parameter number: from 1, as S3 counts.
    func range(_ number: Int) -> (offset: Int64, count: Int64) {
        let offset = Int64(number - 1) * partBytes
        return (offset, min(partBytes, sizeBytes - offset))
    }
}
