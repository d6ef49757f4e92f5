import CZlib

/// Packs and unpacks bytes in the formats of zlib.
package enum Zlib {
    /// Loads the library now, so that a missing one ends the tool at its start and not in the middle of its work.
    package static func loadLibrary() { _ = crc32(0, nil, 0) }

    /// Returns the CRC-32 of bytes.
    package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: crc32(0, bytes.bindMemory(to: UInt8.self).baseAddress, UInt32(bytes.count)))
    }

    /// Returns the bytes as gzip data; nil if that has more than `limit` bytes.
    package static func gzip(_ bytes: [UInt8], atMost limit: Int) -> [UInt8]? {
        let stream = Stream()
        guard tgp_deflate_start(stream.state, 6) == Z_OK else { return nil }
        defer { deflateEnd(stream.state) }
        let (status, output) = stream.run(bytes[...], CZlib.deflate, atMost: limit)
        return status == Z_STREAM_END ? output : nil
    }

    /// Unpacks gzip or zlib data; nil if it is malformed, or has more than `most` bytes.
    package static func unpacked(_ bytes: ArraySlice<UInt8>, atMost most: Int) -> [UInt8]? {
        let stream = Stream()
        guard tgp_inflate_start(stream.state) == Z_OK else { return nil }
        defer { inflateEnd(stream.state) }
        var limit = toldSize(bytes).map { min($0, most) } ?? min(max(bytes.count * 4, 4096), most)
        while true {
            let (status, output) = stream.run(bytes, CZlib.inflate, atMost: limit)
            if status == Z_STREAM_END { return output }
            // Only a full output is a reason to try again; otherwise the data is malformed or incomplete.
            guard status == Z_OK || status == Z_BUF_ERROR, output.count == limit, limit < most,
                inflateReset(stream.state) == Z_OK
            else { return nil }
            limit = min(max(2 * limit, 4096), most)
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
