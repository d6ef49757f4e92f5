import Compression
import TL

/// Packs and unpacks `gzip_packed` messages.
enum Gzip {
    static let id: UInt32 = 0x3072_cfa1
    /// The limit of unpacked messages, above the size of any answer. Without it, a few bytes could unpack to gigabytes.
    static let maxUnpackedBytes = 32 << 20
    /// The sizes of requests that are packed. Shorter ones gain nothing; longer ones are parts of files, which mostly are compressed.
    static let packedBytes = 1024...(64 << 10)

    /// Returns the request, packed if that saves at least a tenth of its size.
    static func packed(_ body: [UInt8]) -> [UInt8] {
        guard packedBytes.contains(body.count), let packed = Zlib.gzip(body, atMost: body.count * 9 / 10) else {
            return body
        }
        var writer = TLWriter(reserving: packed.count + 12)
        writer.word(id)
        writer.bytes(packed)
        return writer.bytes
    }

    /// Unpacks a message that begins with `id`.
    ///
    /// - Throws: `MTProtoError`, `protocolBroken`.
    static func unpacked(_ body: ArraySlice<UInt8>) throws(MTProtoError) -> [UInt8] {
        let packed = try reading("a compressed message", body) { (reader) throws(TLError) in
            try reader.expect(id)
            return try reader.bytes()
        }
        guard let unpacked = Zlib.unpacked(packed, atMost: maxUnpackedBytes) else {
            throw .broken("it sent a compressed message that cannot be unpacked, or is too long")
        }
        return unpacked
    }
}
