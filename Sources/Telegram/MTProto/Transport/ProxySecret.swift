import JSON

/// What an MTProxy is entered with.
package struct ProxySecret: Sendable, Equatable, CustomStringConvertible {
    /// 16 of them.
    let bytes: [UInt8]
    /// Written with `dd` before it: the proxy accepts the padded transport only.
    let demandsPadding: Bool

    /// Reads a secret in hexadecimal digits or base64, as links have it.
    ///
    /// - Throws: `MTProtoError`, `configuration`.
    package init(_ text: String) throws(MTProtoError) {
        let isHexadecimal = text.utf8.count % 2 == 0 && text.allSatisfy { $0.isASCII && $0.isHexDigit }
        guard let all = isHexadecimal ? hexadecimal(text) : Base64.decodeForURLs(text) else {
            throw ProxySecret.unreadable
        }
        if all.first == 0xee && all.count > 16 {
            throw MTProtoError(
                .configuration,
                "a proxy secret that begins with 'ee' wants a connection that looks like TLS, "
                    + "which tgpipe does not make: use a proxy with a secret that begins with 'dd'")
        }
        demandsPadding = all.count == 17 && all[0] == 0xdd
        guard all.count == 16 || demandsPadding else { throw ProxySecret.unreadable }
        bytes = all.suffix(16)
    }

    private static var unreadable: MTProtoError {
        MTProtoError(.configuration, "the proxy secret is not one of 16 bytes in hexadecimal digits or base64")
    }

    package var description: String { "a proxy secret" }
}
