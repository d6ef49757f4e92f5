package import JSON
import Synchronization

/// Stores one value of Telegram's API in up to four forms: TL bytes, JSON text, a document that is read in place, and parsed JSON.
///
/// A missing form is made at its first use, at most once, and is kept; the TL bytes are released as soon as the text exists, and the
/// document as soon as the text or the parsed JSON does. Any thread may use a value.
package final class TLValue: Sendable {
    private struct Forms: Sendable {
        var encoded: (bytes: FixedBytes, type: TLType, decoder: SharedTLDecoder)?
        var text: Result<[UInt8], TLError>?
        var document: Result<TLDocument, TLError>?
        /// The name of the constructor; nil while it is unknown, and empty if there is none.
        var constructor: String?
        var json: Result<JSON, TLError>?

        mutating func madeText() throws(TLError) -> [UInt8] {
            if let text { return try text.get() }
            guard let (bytes, type, decoder) = encoded else { return [] }
            encoded = nil
            do throws(TLError) {
                let made = try decoder.text(of: bytes, as: type)
                text = .success(made)
                document = nil
                return made
            } catch {
                text = .failure(error)
                throw error
            }
        }

        mutating func madeDocument() throws(TLError) -> TLDocument {
            if let document { return try document.get() }
            do throws(TLError) {
                let made =
                    if let (bytes, type, decoder) = encoded {
                        try decoder.document(of: bytes, as: type)
                    } else {
                        try TLDocument(parsing: try madeText())
                    }
                document = .success(made)
                constructor = withExtendedLifetime(made) {
                    made.view["_"]?.text.map { String(decoding: $0, as: UTF8.self) } ?? ""
                }
                return made
            } catch {
                document = .failure(error)
                throw error
            }
        }

        mutating func madeJSON() throws(TLError) -> JSON {
            if let json { return try json.get() }
            do throws(TLError) {
                let made = try madeDocument().json
                json = .success(made)
                document = nil
                return made
            } catch {
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
        forms = Mutex(Forms(encoded: (FixedBytes(bytes), type, decoder)))
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

    /// Returns the value as a document.
    ///
    /// - Throws: as `json`.
    package func document() throws(TLError) -> TLDocument {
        try forms.withLock { forms throws(TLError) in try forms.madeDocument() }
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

    /// The name of the object's constructor: `updateShort`; nil for a value that is no object or cannot be decoded.
    package var constructor: String? {
        let name = forms.withLock { forms in
            if forms.constructor == nil { _ = try? forms.madeDocument() }
            return forms.constructor
        }
        return name?.isEmpty == false ? name : nil
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

    func text(of bytes: FixedBytes, as type: TLType) throws(TLError) -> [UInt8] {
        try decoder.withLock { decoder throws(TLError) in try decoder.json(of: bytes, as: type) }
    }

    /// Decodes one value, which must fill the bytes.
    ///
    /// - Throws: `TLError` with the place of the fault.
    func document(of bytes: FixedBytes, as type: TLType) throws(TLError) -> TLDocument {
        try decoder.withLock { decoder throws(TLError) in try decoder.document(of: bytes, as: type) }
    }
}
