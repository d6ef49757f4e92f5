package import JSON
import Synchronization

/// Stores one value of Telegram's API in up to three forms: TL bytes, JSON text and parsed JSON.
///
/// A missing form is made at its first use, at most once, and is kept; the TL bytes are released as soon as the text exists. Any
/// thread may use a value.
package final class TLValue: Sendable {
    private struct Forms: Sendable {
        var encoded: (bytes: [UInt8], type: TLType, decoder: SharedTLDecoder)?
        var text: Result<[UInt8], TLError>?
        var json: Result<JSON, TLError>?

        mutating func madeText() throws(TLError) -> [UInt8] {
            if let text { return try text.get() }
            guard let (bytes, type, decoder) = encoded else { return [] }
            encoded = nil
            do throws(TLError) {
                let made = try decoder.text(of: bytes, as: type)
                text = .success(made)
                return made
            } catch {
                text = .failure(error)
                throw error
            }
        }

        mutating func madeJSON() throws(TLError) -> JSON {
            if let json { return try json.get() }
            let text = try madeText()
            do throws(MalformedInput) {
                let made = try JSON(parsing: text)
                json = .success(made)
                return made
            } catch {
                let error = TLError(.notJSON, error.reason)
                json = .failure(error)
                throw error
            }
        }
    }

    /// The size of the form that the value was made from, in bytes; for parsed JSON, the size of its text.
    package let sizeBytes: Int
    private let forms: Mutex<Forms>

    /// Makes a value from TL bytes, which are decoded at the first use.
    ///
    /// - Parameters:
    ///   - bytes: one value, which must fill the bytes.
    ///   - type: the type that the bytes must have.
    package init(bytes: [UInt8], as type: TLType = .anything, decoder: SharedTLDecoder) {
        sizeBytes = bytes.count
        forms = Mutex(Forms(encoded: (bytes, type, decoder)))
    }

    /// Makes a value from JSON text, as another process wrote it.
    package init(text: [UInt8]) {
        sizeBytes = text.count
        forms = Mutex(Forms(text: .success(text)))
    }

    package init(json: JSON) {
        let text = json.bytes
        sizeBytes = text.count
        forms = Mutex(Forms(text: .success(text), json: .success(json)))
    }

    /// Returns the value as JSON text; docs/tl.md describes how each type is written.
    ///
    /// - Throws: `TLError` when the bytes are not a value of the type; each call throws the same error.
    package func text() throws(TLError) -> [UInt8] {
        try forms.withLock { forms throws(TLError) in try forms.madeText() }
    }

    /// Returns the value as parsed JSON.
    ///
    /// - Throws: `TLError` when the bytes are not a value of the type, or the text is not JSON; each call throws the
    ///   same error.
    package func json() throws(TLError) -> JSON {
        try forms.withLock { forms throws(TLError) in try forms.madeJSON() }
    }

    /// The size of the JSON text, in bytes; of a value that cannot be decoded, the size of its TL bytes.
    package var textBytes: Int { (try? text().count) ?? sizeBytes }

    /// The name of the object's constructor, found without parsing: `updateShort`; nil for a value that is no object of the schema
    /// or cannot be decoded.
    package var constructor: String? {
        guard let text = try? text() else { return nil }
        let head = Array(#"{"_":""#.utf8)
        guard text.starts(with: head) else { return nil }
        let rest = text.dropFirst(head.count)
        guard let end = rest.firstIndex(of: UInt8(ascii: "\"")) else { return nil }
        return String(decoding: rest[..<end], as: UTF8.self)
    }
}

/// Decodes TL bytes for several threads, one after the other, with one decoder whose memory is reused.
package final class SharedTLDecoder: Sendable {
    package let schema: TLSchema
    private let decoder: Mutex<TLDecoder>

    package init(_ schema: TLSchema) {
        self.schema = schema
        decoder = Mutex(TLDecoder(schema))
    }

    /// Returns the JSON text of one value, which must fill the bytes.
    ///
    /// - Throws: `TLError` with the place of the fault.
    package func text(of bytes: [UInt8], as type: TLType = .anything) throws(TLError) -> [UInt8] {
        try decoder.withLock { decoder throws(TLError) in try decoder.json(of: bytes, as: type) }
    }
}
