/// Hashes a file part by part, and as a whole in the same read.
///
/// Used by one task at a time.
final class PartHasher: @unchecked Sendable {
    private let source: LocalFile
    private let plan: PartPlan
    private var number = 0
    private var whole = SHA256()
    private var part = SHA256()

    init(_ source: LocalFile, _ plan: PartPlan) {
        self.source = source
        self.plan = plan
    }

    /// The SHA-256 of the next part, in hex.
    func next() async throws(BlobError) -> String {
        try await onOwnThread { [self] (cancellation) throws(BlobError) in
            number += 1
            let range = plan.range(number)
            try source.read(from: range.offset, count: range.count, cancellation: cancellation) {
                part.update($0)
                whole.update($0)
            }
            return part.finish()
        }
    }

    /// The SHA-256 of all parts together, once the last is hashed.
    func finish() -> String { whole.finish() }
}
