import CCurl
import Glibc

/// Holds an absolute http or https URL. libcurl's own parser reads it, so that the URL that is checked is the URL
/// that is fetched.
///
/// Scheme and host are lower case, an international host is in its ASCII form, an odd IPv4 spelling (`0x7f.1`)
/// becomes four decimal numbers, `.` and `..` are removed from the path, and bytes beyond ASCII are percent-encoded.
package struct WebURL: Sendable, Hashable, CustomStringConvertible {
    /// `http` or `https`.
    package let scheme: String
    /// The host's name, or its address (IPv6 without brackets).
    package let host: String
    /// The port, or nil when it is the scheme's own.
    package let port: Int?
    /// The percent-encoded path as given; at least `/`.
    package let path: String
    /// The percent-encoded query as given, without the `?`; nil when there is none.
    package let query: String?
    /// The fragment without the `#`.
    package let fragment: String?
    /// Is true if the URL holds a user name or a password.
    package let hasCredentials: Bool
    /// The whole URL.
    package let description: String

    /// Reads a URL; nil when it is not absolute, not http(s), has no host, holds spaces or control characters, or is
    /// longer than 8192 bytes.
    package init?(_ text: String) {
        guard text.utf8.count <= 8192, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return nil }
        guard let handle = curl_url() else { return nil }
        defer { curl_url_cleanup(handle) }
        guard curl_url_set(handle, CURLUPART_URL, text, WebURL.encoding) == CURLUE_OK else { return nil }
        self.init(handle: handle)
    }

    /// Returns the URL without user name and password.
    package func withoutCredentials() -> WebURL {
        guard hasCredentials else { return self }
        return changed { handle in
            curl_url_set(handle, CURLUPART_USER, nil, 0) == CURLUE_OK
                && curl_url_set(handle, CURLUPART_PASSWORD, nil, 0) == CURLUE_OK
        } ?? self
    }

    /// Resolves a reference (`/x`, `../y`, `//host/z`, a whole URL) on a page of this URL; returns nil when the
    /// result is not an http(s) URL.
    package func resolving(_ reference: String) -> WebURL? {
        guard reference.utf8.count <= 8192, reference.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else { return nil }
        return changed { handle in
            curl_url_set(handle, CURLUPART_URL, reference, WebURL.encoding | UInt32(CURLU_ALLOW_SPACE)) == CURLUE_OK
        }
    }

    private static let encoding = UInt32(CURLU_URLENCODE)

    private func changed(_ change: (OpaquePointer) -> Bool) -> WebURL? {
        guard let handle = curl_url() else { return nil }
        defer { curl_url_cleanup(handle) }
        guard curl_url_set(handle, CURLUPART_URL, description, 0) == CURLUE_OK, change(handle) else { return nil }
        return WebURL(handle: handle)
    }

    private init?(handle: OpaquePointer) {
        func part(_ part: CURLUPart, flags: UInt32 = 0) -> String? {
            var text: UnsafeMutablePointer<CChar>?
            let code = curl_url_get(handle, part, &text, flags)
            // libcurl 7.88 hands over text even if it fails to put the host into its ASCII form; later versions set nil.
            defer { curl_free(text) }
            return code == CURLUE_OK ? text.map { String(cString: $0) } : nil
        }
        /// Puts the host into its ASCII form, and returns it with the whole URL.
        func normalize() -> (host: String, text: String)? {
            guard part(CURLUPART_ZONEID) == nil,
                let host = inUTF8Locale({ part(CURLUPART_HOST, flags: UInt32(CURLU_PUNYCODE)) })?.lowercased(),
                !host.isEmpty,
                curl_url_set(handle, CURLUPART_HOST, host, 0) == CURLUE_OK,
                let text = part(CURLUPART_URL, flags: UInt32(CURLU_NO_DEFAULT_PORT))
            else { return nil }
            return (host, text)
        }
        guard let scheme = part(CURLUPART_SCHEME)?.lowercased(), scheme == "http" || scheme == "https",
            let first = normalize()
        else { return nil }
        var (host, text) = first
        // What a host is decoded or mapped to may be another spelling of an address (`%31.1`), which libcurl only knows once it reads
        // the result as a URL. Servers and keys must not see two spellings of one host.
        var isStable = false
        for _ in 0..<4 where !isStable {
            guard curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK, let again = normalize() else { return nil }
            isStable = again == (host, text)
            (host, text) = again
        }
        guard isStable else { return nil }
        self.scheme = scheme
        self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        port = part(CURLUPART_PORT, flags: UInt32(CURLU_NO_DEFAULT_PORT)).flatMap(Int.init)
        path = part(CURLUPART_PATH) ?? "/"
        query = part(CURLUPART_QUERY)
        fragment = part(CURLUPART_FRAGMENT)
        hasCredentials = part(CURLUPART_USER) != nil || part(CURLUPART_PASSWORD) != nil
        description = text
    }
}

/// Runs work with UTF-8 as this thread's character set, because libidn2 reads names in the locale's character set.
func inUTF8Locale<Result>(_ work: () -> Result) -> Result {
    let previous = uselocale(UTF8Locale.shared.locale)
    defer { uselocale(previous) }
    return work()
}

/// Holds a locale. `@unchecked Sendable`: made once, never changed or freed.
private final class UTF8Locale: @unchecked Sendable {
    static let shared = UTF8Locale()
    let locale = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
}
