/// Takes a file piece by piece while it is downloaded, so that it need not be on the disk.
///
/// One call runs at a time. An error is final: it ends the download.
package protocol DownloadStream: Sendable {
    /// The bytes of which a file must have more. A smaller one is written to the disk, without a call.
    var leastBytes: Int { get }

    /// Begins the file.
    ///
    /// - Parameters:
    ///   - sizeBytes: the size that the server gives; nil if it gives none.
    ///   - maxBytes: the most bytes that the file will have.
    /// - Returns: the bytes of each piece but the last; nil if the file cannot be taken now, and is to be written to the disk.
    func begin(sizeBytes: Int64?, atMost maxBytes: Int64) async throws(MediaError) -> Int?

    /// Takes a piece.
    ///
    /// - Parameter number: counts from 1. With 1, the file begins anew, because its download did.
    func take(_ piece: [UInt8], as number: Int) async throws(MediaError)
}
