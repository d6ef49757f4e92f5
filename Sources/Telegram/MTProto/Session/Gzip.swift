import CZlib
import TL

/// Packs and unpacks `gzip_packed` messages.
enum Gzip {
    static let id: UInt32 = 0x3072_cfa1
    /// The limit of unpacked messages, above the size of any answer. Without it, a few bytes could unpack to gigabytes.
    static let maxUnpackedBytes = 32 << 20
    /// The sizes of requests that are packed. Shorter ones gain nothing; longer ones are parts of files, which mostly are compressed.
    static let packedBytes = 1024...(64 << 10)

    /// Loads zlib now, so that a missing one ends the tool at its start and not in the middle of a conversation.
    static func loadLibrary() { _ = crc32(0, nil, 0) }

    /// Returns the request, packed if that saves at least a tenth of its size.
    static func packed(_ body: [UInt8]) -> [UInt8] {
        guard packedBytes.contains(body.count), let packed = deflate(body, atMost: body.count * 9 / 10) else {
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
        guard let unpacked = inflate(packed) else {
            throw .broken("it sent a compressed message that cannot be unpacked, or is too long")
        }
        return unpacked
    }

    private static func deflate(_ bytes: [UInt8], atMost limit: Int) -> [UInt8]? {
        let stream = Stream()
        guard tgp_deflate_start(stream.state, 6) == Z_OK else { return nil }
        defer { deflateEnd(stream.state) }
        let (status, output) = stream.run(bytes[...], CZlib.deflate, atMost: limit)
        return status == Z_STREAM_END ? output : nil
    }

    private static func inflate(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        let stream = Stream()
        guard tgp_inflate_start(stream.state) == Z_OK else { return nil }
        defer { inflateEnd(stream.state) }
        var limit =
            toldSize(bytes).map { min($0, maxUnpackedBytes) } ?? min(max(bytes.count * 4, 4096), maxUnpackedBytes)
        while true {
            let (status, output) = stream.run(bytes, CZlib.inflate, atMost: limit)
            if status == Z_STREAM_END { return output }
            // Only a full output is a reason to try again; otherwise the data is malformed or incomplete.
            guard status == Z_OK || status == Z_BUF_ERROR, output.count == limit, limit < maxUnpackedBytes,
                inflateReset(stream.state) == Z_OK
            else { return nil }
            limit = min(max(2 * limit, 4096), maxUnpackedBytes)
        }
    }

    /// Returns the size of the unpacked data that the end of gzip data tells; nil for other data, and if it cannot be true.
    private static func toldSize(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 18, bytes.starts(with: [0x1F, 0x8B]) else { return nil }
        let size = bytes.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        return (1...bytes.count * mostGrowth).contains(size) ? size : nil
    }

    /// The most bytes that one byte becomes when it is unpacked.
    private static let mostGrowth = 1032

    /// The state of zlib, which must not move in memory.
    private final class Stream {
        let state: UnsafeMutablePointer<z_stream>

        init() {
            state = .allocate(capacity: 1)
            state.initialize(to: z_stream())
        }

        deinit { state.deallocate() }

        /// Packs or unpacks the whole input in one step, for which zlib needs no memory of its own for the last 32 kB.
        ///
        /// - Returns: zlib's status, and the first `limit` bytes of the output.
        func run(
            _ input: ArraySlice<UInt8>, _ function: (z_streamp?, Int32) -> Int32, atMost limit: Int
        ) -> (status: Int32, output: [UInt8]) {
            var status = Z_STREAM_ERROR
            let output = [UInt8](unsafeUninitializedCapacity: limit) { output, count in
                input.withUnsafeBytes { input in
                    // zlib does not write to the input, although the type allows it.
                    state.pointee.next_in = UnsafeMutablePointer(
                        mutating: input.bindMemory(to: UInt8.self).baseAddress)
                    state.pointee.avail_in = UInt32(input.count)
                    state.pointee.next_out = output.baseAddress
                    state.pointee.avail_out = UInt32(limit)
                    status = function(state, Z_FINISH)
                    count = limit - Int(state.pointee.avail_out)
                }
            }
            return (status, output)
        }
    }
}
