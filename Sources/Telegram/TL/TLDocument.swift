package import JSON

/// A decoded value that is read in place, without a tree and without text.
///
/// It is `@unchecked Sendable` because it never changes.
package final class TLDocument: @unchecked Sendable {
    /// The value, which is valid only as long as this object: keep the object, or use `withExtendedLifetime`.
    package let view: JSONView
    /// The owners of the memory that the view refers to.
    private let owners: [AnyObject]

    init(_ tokens: TokenMemory, _ bytes: FixedBytes, _ schema: TLSchema) {
        view = JSONView(tokens.tokens)
        owners = [tokens, bytes, schema]
    }

    /// The value as a tree.
    package var json: JSON { withExtendedLifetime(self) { view.json } }

    /// Parses JSON text.
    ///
    /// - Throws: `TLError`, `notJSON`.
    init(parsing text: [UInt8]) throws(TLError) {
        let (bytes, parser) = (FixedBytes(text), JSONParser())
        do throws(MalformedInput) { view = try parser.view(bytes.bytes, padded: true) } catch {
            throw TLError(.notJSON, error.reason)
        }
        owners = [bytes, parser]
    }
}
