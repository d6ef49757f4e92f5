import Crypto

/// Hashes a file part by part, and, unless that is known already, as a whole in the same read.
///
/// Used by one task at a time.
final class PartHasher: @unchecked Sendable {
    private let source: LocalFile
    private let plan: PartPlan
    private var number = 0
    private let sha256: String
    private let isKnown: Bool
    private var whole = SHA256()
    private var part = SHA256()

    /// - Parameter sha256: what the whole should have.
    init(_ source: LocalFile, _ plan: PartPlan, expecting sha256: String) {
        self.source = source
        self.plan = plan
        self.sha256 = sha256
        isKnown = source.isKnown(toHave: sha256)
    }

    /// The SHA-256 of the next part, in hex.
    func next() async throws(BlobError) -> String {
        try await onOwnThread { [self] (cancellation) throws(BlobError) in
            number += 1
            let range = plan.range(number)
            try source.read(from: range.offset, count: range.count, cancellation: cancellation) {
                part.update($0)
                if !isKnown { whole.update($0) }
            }
            return part.finish()
        }
    }

    /// Once the last part is hashed: whether all of them together are the file that was expected.
    func isAsExpected() -> Bool {
        isKnown ? source.isKnown(toHave: sha256) : whole.finish() == sha256
    }
}
