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
        var output = [UInt8](repeating: 0, count: limit)
        guard stream.run(bytes[...], &output, CZlib.deflate, Z_FINISH) == Z_STREAM_END else { return nil }
        return Array(output[..<stream.written])
    }

    private static func inflate(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        let stream = Stream()
        guard tgp_inflate_start(stream.state) == Z_OK else { return nil }
        defer { inflateEnd(stream.state) }
        var output = [UInt8](repeating: 0, count: min(max(bytes.count * 4, 4096), maxUnpackedBytes))
        while true {
            let status = stream.run(bytes, &output, CZlib.inflate, Z_NO_FLUSH)
            if status == Z_STREAM_END { return Array(output[..<stream.written]) }
            // Only a full output buffer is a reason to continue; otherwise the data is malformed or incomplete.
            guard status == Z_OK || status == Z_BUF_ERROR, stream.written == output.count,
                output.count < maxUnpackedBytes
            else { return nil }
            output.append(contentsOf: repeatElement(0, count: min(output.count, maxUnpackedBytes - output.count)))
        }
    }

    /// The state of zlib, which must not move in memory.
    private final class Stream {
        let state: UnsafeMutablePointer<z_stream>

        init() {
            state = .allocate(capacity: 1)
            state.initialize(to: z_stream())
        }

        deinit { state.deallocate() }

        var written: Int { Int(state.pointee.total_out) }

        /// Continues reading the input and writing the output where the last call stopped.
        func run(
            _ input: ArraySlice<UInt8>, _ output: inout [UInt8], _ function: (z_streamp?, Int32) -> Int32,
            _ flush: Int32
        ) -> Int32 {
            input.dropFirst(Int(state.pointee.total_in)).withUnsafeBytes { input in
                output.withUnsafeMutableBytes { output in
                    // zlib does not write to the input, although the type allows it.
                    state.pointee.next_in = UnsafeMutablePointer(
                        mutating: input.bindMemory(to: UInt8.self).baseAddress)
                    state.pointee.avail_in = UInt32(input.count)
                    state.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress.map { $0 + written }
                    state.pointee.avail_out = UInt32(output.count - written)
                    return function(state, flush)
                }
            }
        }
    }
}
