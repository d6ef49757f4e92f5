import System
import Crypto
import Glibc
import JSON
import TL

/// A file that is being uploaded, open for reading. All of it blocks.
final class UploadSource: Sendable {
    let path: String
    let sizeBytes: Int64
    private let descriptor: Int32
    private let modified: String

    /// - Throws: `AccountError` when it is no file with content.
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
            throw AccountError(.emptyFile, "\(path) is empty, which Telegram does not take")
        }
        sizeBytes = Int64(status.st_size)
        modified = UploadSource.modified(status)
    }

    deinit { close(descriptor) }

    var partCount: Int {
        Int((sizeBytes + Int64(TransferSettings.pieceBytes) - 1) / Int64(TransferSettings.pieceBytes))
    }

    /// Above it there are other methods, without a checksum.
    var isBig: Bool { sizeBytes > 10 << 20 }

    /// The last part is shorter.
    func size(ofPart part: Int) -> Int {
        let offset = Int64(part) * Int64(TransferSettings.pieceBytes)
        return Int(min(sizeBytes - offset, Int64(TransferSettings.pieceBytes)))
    }

    /// What says that it is the same content as before.
    func identity() throws(AccountError) -> JSONObject {
        let head = try read(0, count: Int(min(sizeBytes, 64 << 10)))
        return [
            "size": .integer(sizeBytes), "modified": .string(modified), "head_sha256": .string(SHA256.hexDigest(head)),
        ]
    }

    /// - Throws: `AccountError` when somebody has written to the file since it was opened.
    func checkUnchanged() throws(AccountError) {
        guard let status = UploadSource.status(descriptor), Int64(status.st_size) == sizeBytes,
            UploadSource.modified(status) == modified
        else { throw AccountError(.localIO, "\(path) was changed while it was uploaded") }
    }

    /// The MD5 of all of it, in hex.
    func checksum() throws(AccountError) -> String {
        var hash = MD5()
        for part in 0..<partCount {
            let bytes = try read(Int64(part) * Int64(TransferSettings.pieceBytes), count: size(ofPart: part))
            bytes.withUnsafeBytes { hash.update($0) }
        }
        return hash.finish()
    }

    /// TL bytes: `head`, and after it a part as `bytes`.
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

    /// `head`, then bytes of the file, then zeros.
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
        case 0: throw AccountError(.localIO, "\(path) became shorter while it was uploaded")
        case let number?: throw .localIO("unable to read \(path)", number)
        }
    }

    /// - Returns: nil when all was read; 0 at the end of the file, or the error's number.
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
