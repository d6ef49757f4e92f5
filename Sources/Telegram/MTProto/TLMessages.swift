import TL

/// Reads a message of the protocol itself, which must end with its last byte.
///
/// - Throws: `MTProtoError`, `protocolBroken`, whose message names `what`.
func reading<Value>(
    _ what: String, _ bytes: ArraySlice<UInt8>, _ body: (inout TLReader) throws(TLError) -> Value
) throws(MTProtoError) -> Value {
    var reader = TLReader(bytes)
    do throws(TLError) {
        let value = try body(&reader)
        try reader.end()
        return value
    } catch {
        throw .broken("it sent \(what) that cannot be read: \(error.message)")
    }
}

/// Returns the bytes that `body` writes as TL.
func TLBytes(_ body: (inout TLWriter) -> Void) -> [UInt8] {
    var writer = TLWriter()
    body(&writer)
    return writer.bytes
}

extension TLReader {
    /// Reads a constructor's id, which must be `id`.
    mutating func expect(_ id: UInt32) throws(TLError) {
        let place = offset
        guard try word() == id else {
            throw TLError(.unexpectedConstructor, "an unexpected constructor", offset: place)
        }
    }

    /// Reads a vector of 64-bit numbers.
    mutating func longs() throws(TLError) -> [Int64] {
        var numbers: [Int64] = []
        for _ in 0..<(try vector(elementBytes: 8)) { numbers.append(try long()) }
        return numbers
    }
}
