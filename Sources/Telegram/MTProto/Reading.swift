import TL

/// Reads a message of the protocol itself, to its last byte.
///
/// - Throws: `MTProtoError`, `protocolBroken`, with `what` in its words.
func reading<Value>(
    _ what: String, _ bytes: ArraySlice<UInt8>, _ body: (inout TLReader) throws(TLError) -> Value
) throws(MTProtoError) -> Value {
    var reader = TLReader(bytes)
    do throws(TLError) {
        let value = try body(&reader)
        try reader.end()
        return value
    } catch {
        throw .broken("\(what) that cannot be read: \(error.message)")
    }
}

/// Bytes that are written as TL.
func TLBytes(_ body: (inout TLWriter) -> Void) -> [UInt8] {
    var writer = TLWriter()
    body(&writer)
    return writer.bytes
}
