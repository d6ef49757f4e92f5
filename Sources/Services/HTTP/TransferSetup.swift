import CCurl
import Glibc

/// How a request becomes options of a libcurl handle.
extension Transfer {
    func configure(_ url: WebURL, _ identity: ClientIdentity) throws(HTTPError) {
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_URL, url.description)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        // One connection a transfer: large bodies move faster than through one multiplexed connection, and a long poll
        // holds up nothing.
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        set(CURLOPT_BUFFERSIZE, 512 << 10)
        set(CURLOPT_UPLOAD_BUFFERSIZE, 512 << 10)
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(clamping: request.connectTimeout.milliseconds))
        set(CURLOPT_FOLLOWLOCATION, request.maxRedirects > 0 ? 1 : 0)
        set(CURLOPT_MAXREDIRS, max(0, request.maxRedirects))
        set(CURLOPT_USERAGENT, identity.userAgent)
        if let caFile = identity.caFile { set(CURLOPT_CAINFO, caFile) }
        if request.addressPolicy == .publicOnly { set(CURLOPT_PROXY, "") }
        try configureMethod()
        installCallbacks()
    }

    private func configureMethod() throws(HTTPError) {
        let letters = request.method.utf8
        guard !letters.isEmpty, letters.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw HTTPError(.protocolError, "not an HTTP method")
        }
        switch (request.method, body?.count) {
        case ("HEAD", _):
            set(CURLOPT_NOBODY, 1)
        case ("GET", nil):
            set(CURLOPT_HTTPGET, 1)
        case ("POST", let count):
            set(CURLOPT_POST, 1)
            _ = tgpipe_curl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(count ?? 0))
        case ("PUT", let count):
            set(CURLOPT_UPLOAD, 1)
            _ = tgpipe_curl_set_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(count ?? 0))
        case (let method, let count):
            if let count {
                set(CURLOPT_UPLOAD, 1)
                _ = tgpipe_curl_set_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(count))
            }
            set(CURLOPT_CUSTOMREQUEST, method)
        }
    }

    /// The request's headers, and without those that libcurl would add on its own.
    func makeHeaderList() throws(HTTPError) -> UnsafeMutablePointer<curl_slist>? {
        var lines: [String] = []
        for (name, value) in request.headers {
            guard Transfer.isHeaderName(name), !value.utf8.contains(where: { $0 == 13 || $0 == 10 || $0 == 0 }) else {
                throw HTTPError(.protocolError, "a header's name or value has characters that it cannot have")
            }
            lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        let names = Set(request.headers.map { $0.name.lowercased() })
        if !names.contains("expect") { lines.append("Expect:") }
        if !names.contains("content-type") {
            lines.append(body?.contentType.map { "Content-Type: \($0)" } ?? "Content-Type:")
        }
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines {
            guard let longer = curl_slist_append(list, line) else {
                curl_slist_free_all(list)
                throw HTTPError(.localIO, "out of memory")
            }
            list = longer
        }
        return list
    }

    private static func isHeaderName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ":") }
    }

    private func set(_ option: CURLoption, _ value: Int) {
        _ = tgpipe_curl_set_long(easy, option, value)
    }

    private func set(_ option: CURLoption, _ value: String) {
        _ = tgpipe_curl_set_string(easy, option, value)
    }
}

extension Duration {
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds.multipliedReportingOverflow(by: 1000).partialValue + attoseconds / 1_000_000_000_000_000
    }
}
