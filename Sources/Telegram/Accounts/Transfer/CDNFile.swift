import Crypto
import MTProto
import TL

/// A file that Telegram has moved to a content delivery network, encrypted: `upload.fileCdnRedirect`.
///
/// Source: https://core.telegram.org/cdn
struct CDNFile: Sendable {
    static let redirect: UInt32 = 0xf18c_da44

    let dataCenter: Int
    let token: [UInt8]
    private let key: [UInt8]
    private let vector: [UInt8]
    let hashes: [FileHashes.Range]

    /// - Parameter reader: positioned after the constructor.
    init(_ reader: inout TLReader) throws(TLError) {
        dataCenter = Int(try reader.int())
        token = Array(try reader.bytes())
        key = Array(try reader.bytes())
        vector = Array(try reader.bytes())
        hashes = try FileHashes.read(&reader)
        guard key.count == 32, vector.count == 16 else {
            throw TLError(.oversized, "a key or an initialisation vector of the wrong length", offset: reader.offset)
        }
    }

    /// Returns the request for a piece: `upload.getCdnFile`.
    func request(_ offset: Int64) -> [UInt8] {
        var writer = call(0x395f_69da)
        writer.long(offset)
        writer.int(Int32(TransferSettings.pieceBytes))
        return writer.bytes
    }

    /// Returns the request for the hashes from an offset on: `upload.getCdnFileHashes`.
    func hashRequest(_ offset: Int64) -> [UInt8] {
        var writer = call(0x91dc_3f31)
        writer.long(offset)
        return writer.bytes
    }

    /// Returns the request that makes Telegram upload the file to the CDN again: `upload.reuploadCdnFile`.
    func reuploadRequest(_ token: ArraySlice<UInt8>) -> [UInt8] {
        var writer = call(0x9b27_54a8)
        writer.bytes(token)
        return writer.bytes
    }

    private func call(_ id: UInt32) -> TLWriter {
        var writer = TLWriter(reserving: 64)
        writer.word(id)
        writer.bytes(token)
        return writer
    }

    enum Answer {
        case piece([UInt8])
        /// The CDN has lost the file; Telegram must upload it there again, with this token.
        case reupload(ArraySlice<UInt8>)
    }

    /// Reads and decrypts `upload.CdnFile`.
    func answer(_ bytes: [UInt8], _ offset: Int64) throws(TLError) -> Answer {
        var reader = TLReader(bytes)
        switch try reader.word() {
        case 0xeea8_e46e: return .reupload(try reader.bytes())
        case 0xa99f_ca4f:
            var piece = Array(try reader.bytes())
            let block = UInt32(truncatingIfNeeded: offset / 16)
            let counter = (0..<4).map { UInt8(truncatingIfNeeded: block >> (24 - 8 * $0)) }
            StreamCipher(key: key, vector: vector[..<12] + counter).apply(&piece)
            return .piece(piece)
        default: throw TLError(.unexpectedConstructor, "not a piece of a file", offset: 0)
        }
    }
}
