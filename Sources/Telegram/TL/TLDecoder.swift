import JSON

/// Decodes TL bytes to JSON text. It keeps its memory between calls, and only one thread at a time may use it.
///
/// An object has its constructor's name as `_`, then the fields in the schema's order; an absent optional field has no key.
/// docs/tl.md describes how each type is written.
package final class TLDecoder {
    /// The deepest nesting of the JSON. It leaves room below the limit of `JSONParser`, so that the JSON can be part of other JSON.
    package static let maxDepth = JSONParser.maxDepth - 8

    package let schema: TLSchema
    private var run: DecodingRun<JSONOutput>
    private var documents: DecodingRun<TokenOutput>

    /// - Parameter maxOutputBytes: the most bytes of JSON for one value; a few bytes of TL can become many bytes of JSON.
    package init(_ schema: TLSchema, maxOutputBytes: Int = 64 << 20) {
        self.schema = schema
        run = DecodingRun(schema.tables, output: JSONOutput(maximum: maxOutputBytes), maxDepth: TLDecoder.maxDepth)
        documents = DecodingRun(
            schema.tables, output: TokenOutput(maximum: maxOutputBytes), maxDepth: TLDecoder.maxDepth)
    }

    /// Appends the JSON of one value, which must fill the bytes.
    ///
    /// - Throws: `TLError` with the place of the fault; nothing is appended then.
    package func decode(
        _ bytes: UnsafeRawBufferPointer, as type: TLType = .anything, into text: inout [UInt8]
    ) throws(TLError) {
        do throws(TLFault) {
            try run.decode(bytes, type.shape)
        } catch {
            throw TLError(error, offset: run.offset, path: schema.text(of: run.place))
        }
        text.append(contentsOf: run.output.bytes)
    }

    /// Decodes one value, which must fill the bytes, without making its text.
    ///
    /// - Throws: `TLError` with the place of the fault.
    package func document(of bytes: [UInt8], as type: TLType = .anything) throws(TLError) -> TLDocument {
        try document(of: FixedBytes(bytes), as: type)
    }

    func document(of source: FixedBytes, as type: TLType) throws(TLError) -> TLDocument {
        do throws(TLFault) {
            try documents.decode(source.bytes, type.shape)
        } catch {
            throw TLError(error, offset: documents.offset, path: schema.text(of: documents.place))
        }
        return TLDocument(documents.output.take(), source, schema)
    }

    func json(of source: FixedBytes, as type: TLType) throws(TLError) -> [UInt8] {
        var text: [UInt8] = []
        try decode(source.bytes, as: type, into: &text)
        return text
    }

    package func json(of bytes: [UInt8], as type: TLType = .anything) throws(TLError) -> [UInt8] {
        var text: [UInt8] = []
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(TLError) in try decode(buffer, as: type, into: &text) }
        }
        try result.get()
        return text
    }
}

extension TLError {
    fileprivate init(_ fault: TLFault, offset: Int, path: String) {
        let (code, reason): (Code, String) =
            switch fault {
            case .unknownConstructor(let id):
                (.unknownConstructor, "no constructor has the id \(TLSchema.hexadecimal(id))")
            case .unexpectedConstructor(let id):
                (.unexpectedConstructor, "a constructor of another type (\(TLSchema.hexadecimal(id)))")
            case .truncated: (.truncated, "the bytes end too early")
            case .oversized: (.oversized, "a length exceeds the remaining bytes, or the value is too large for JSON")
            case .tooDeep: (.tooDeep, "nested deeper than \(TLDecoder.maxDepth)")
            case .trailingBytes: (.trailingBytes, "there are bytes after the end of the value")
            }
        self.init(code, reason, path: path, offset: offset)
    }
}

extension TLSchema {
    static func hexadecimal(_ id: UInt32) -> String {
        let digits = String(id, radix: 16)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// Returns the name of a field as it appears in JSON.
    func name(of field: Field) -> String {
        let start = Int(field.key) + 2
        return String(decoding: keys[start..<start + Int(field.keyCount) - 4], as: UTF8.self)
    }

    func name(of combinator: Combinator) -> String {
        let start = Int(combinator.head) + 6
        return String(decoding: keys[start..<start + Int(combinator.headCount) - 7], as: UTF8.self)
    }

    fileprivate func text(of place: [DecodingStep]) -> String {
        place.reduce("$") { path, step in
            switch step {
            case .field(let number): "\(path).\(name(of: fields[number]))"
            case .element(let index): "\(path)[\(index)]"
            }
        }
    }
}
