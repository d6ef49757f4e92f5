import System
import Crypto
import Glibc
import JSON
import TL

/// A file that is being uploaded, open for reading. All members that read it block.
final class UploadSource: Sendable {
    let path: String
    let sizeBytes: Int64
    private let descriptor: Int32
    private let modified: String

    /// - Throws: `AccountError`, if the file is empty or not a regular file.
    init(_ path: String) throws(AccountError) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .localIO("unable to read \(path)") }
        self.path = path
        guard let status = UploadSource.status(descriptor), status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw AccountError(.localIO, "unable to read \(path): not a regular file")
        }
        guard status.st_size > 0 else {
            close(descriptor)
            throw AccountError(.emptyFile, "\(path) is empty; Telegram does not accept empty files")
        }
        sizeBytes = Int64(status.st_size)
        modified = UploadSource.modified(status)
    }

    deinit { close(descriptor) }

    var partCount: Int {
        Int((sizeBytes + Int64(TransferSettings.pieceBytes) - 1) / Int64(TransferSettings.pieceBytes))
    }

    /// Is true if the file is larger than 10 MiB. Such files are uploaded by other methods, which take no checksum.
    var isBig: Bool { sizeBytes > 10 << 20 }

    /// Returns the bytes in a part; the last part may be shorter than the others.
    func size(ofPart part: Int) -> Int {
        let offset = Int64(part) * Int64(TransferSettings.pieceBytes)
        return Int(min(sizeBytes - offset, Int64(TransferSettings.pieceBytes)))
    }

    /// Returns values that change when the file's content changes.
    func identity() throws(AccountError) -> JSONObject {
        let head = try read(0, count: Int(min(sizeBytes, 64 << 10)))
        return [
            "size": .integer(sizeBytes), "modified": .string(modified), "head_sha256": .string(SHA256.hexDigest(head)),
        ]
    }

    /// - Throws: `AccountError`, if the file was written to since it was opened.
    func checkUnchanged() throws(AccountError) {
        guard let status = UploadSource.status(descriptor), Int64(status.st_size) == sizeBytes,
            UploadSource.modified(status) == modified
        else { throw AccountError(.localIO, "\(path) was changed during the upload: upload it again") }
    }

    /// Returns the MD5 of the whole file, in hex.
    func checksum() throws(AccountError) -> String {
        var hash = MD5()
        for part in 0..<partCount {
            let bytes = try read(Int64(part) * Int64(TransferSettings.pieceBytes), count: size(ofPart: part))
            bytes.withUnsafeBytes { hash.update($0) }
        }
        return hash.finish()
    }

    /// Returns TL bytes: `head`, followed by a part as `bytes`.
    func request(_ head: [UInt8], part: Int) throws(AccountError) -> [UInt8] {
        let count = size(ofPart: part)
        var writer = TLWriter(reserving: head.count + 4)
        writer.raw(head)
        if count < 254 { writer.raw([UInt8(count)]) } else { writer.word(UInt32(count) << 8 | 254) }
        let start = writer.bytes.count
        return try bytes(
            writer.bytes, padded: (start + count + 3) & ~3, Int64(part) * Int64(TransferSettings.pieceBytes), count)
    }

    private func read(_ offset: Int64, count: Int) throws(AccountError) -> [UInt8] {
        try bytes([], padded: count, offset, count)
    }

    /// Returns `head`, then bytes of the file, then zeros up to the length `padded`.
    private func bytes(_ head: [UInt8], padded: Int, _ offset: Int64, _ count: Int) throws(AccountError) -> [UInt8] {
        var failure: Int32?
        let bytes = [UInt8](unsafeUninitializedCapacity: padded) { buffer, filled in
            _ = buffer.initialize(fromContentsOf: head)
            failure = read(
                offset,
                into: UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[head.count..<head.count + count]))
            buffer[(head.count + count)...].initialize(repeating: 0)
            filled = padded
        }
        switch failure {
        case nil: return bytes
        case 0: throw AccountError(.localIO, "\(path) became shorter during the upload: upload it again")
        case let number?: throw .localIO("unable to read \(path)", number)
        }
    }

    /// - Returns: nil if all was read; 0 at an early end of the file, or the error's number.
    private func read(_ offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Int32? {
        var done = 0
        while done < buffer.count {
            let got = pread(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + done)
            if got < 0, errno == EINTR { continue }
            guard got > 0 else {
                UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).initializeMemory(as: UInt8.self, repeating: 0)
                return got == 0 ? 0 : errno
            }
            done += got
        }
        return nil
    }

    private static func status(_ descriptor: Int32) -> stat? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? status : nil
    }

    private static func modified(_ status: stat) -> String {
        "\(status.modifiedNanoseconds / 1_000_000_000).\(status.modifiedNanoseconds % 1_000_000_000)"
    }
}
