import CCurl
import Glibc
import JSON
import Synchronization

/// Runs one request: holds its libcurl handle, its limits, and the part of the answer that has arrived.
///
/// `@unchecked Sendable`: the caller makes it, then only the loop's thread uses it; only `isCancelled` is shared.
final class Transfer: @unchecked Sendable {
    let request: HTTPRequest
    let easy: UnsafeMutableRawPointer
    let isCancelled = Atomic(false)
    var continuation: TransferLoop.Continuation?
    var clock: TransferClock
    var body: BodySource?
    /// The reason for the transfer's end, when one of our callbacks ended it.
    var failure: HTTPError?
    var addressWasRefused = false

    private let onHead: (HTTPHead) throws -> HeadDecision
    private let onBody: (UnsafeRawBufferPointer) throws -> Void
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var incoming = IncomingHead()
    private var head: HTTPHead?
    private var wasStopped = false
    private var sentBytes: Int64 = 0
    private var mayHaveArrivedBefore = false

    init(
        _ request: HTTPRequest, identity: ClientIdentity, onHead: @escaping @Sendable (HTTPHead) throws -> HeadDecision,
        onBody: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) throws(HTTPError) {
        guard let url = WebURL(request.url) else { throw HTTPError(.invalidURL, "not an http or https URL") }
        guard let easy = curl_easy_init() else { throw HTTPError(.localIO, "unable to start a transfer") }
        self.easy = easy
        self.request = request
        self.onHead = onHead
        self.onBody = onBody
        body = BodySource(request.body)
        clock = TransferClock(
            stallTimeout: request.stallTimeout, deadline: request.deadline, minimumRate: request.minimumRate)
        try configure(url, identity)
        headerList = try makeHeaderList()
        _ = tgpipe_curl_set_list(easy, CURLOPT_HTTPHEADER, headerList)
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(headerList)
    }

    func finish(_ result: Result<HTTPHead, HTTPError>) {
        continuation?.resume(
            returning: result.mapError { error in
                var error = error
                error.mayHaveArrived = mayHaveArrivedBefore || wasRequestSent
                if error.code == .unreachable { error.mayConcernAllHosts = isWithoutNetwork }
                return error
            })
        continuation = nil
    }

    /// Returns the result of the ended transfer.
    func result(of code: CURLcode) -> Result<HTTPHead, HTTPError> {
        if wasStopped, let head { return .success(head) }
        if let failure { return .failure(failure) }
        guard code == CURLE_OK else {
            // The whole body may have been sent over the connection that broke.
            mayHaveArrivedBefore = code == CURLE_SEND_FAIL_REWIND
            return .failure(error(for: code))
        }
        deliverHead()
        if let failure { return .failure(failure) }
        guard let head else { return .failure(HTTPError(.protocolError, "\(peer) sent no answer")) }
        return .success(head)
    }

    /// Returns an error when the transfer has taken too long.
    func checkClock() -> HTTPError? {
        guard clock.isDue else { return nil }
        switch clock.check(activity: activity) {
        case .goOn: return nil
        case .stalled: return HTTPError(.timedOut, "\(peer) sent nothing for \(request.stallTimeout.inWords)")
        case .tooSlow: return HTTPError(.timedOut, "\(peer) sends data too slowly")
        case .overdue:
            return HTTPError(.timedOut, "\(peer) did not finish within \((request.deadline ?? .zero).inWords)")
        }
    }

    /// Is true if the request's head and its whole body were handed to the connection.
    private var wasRequestSent: Bool {
        var headBytes: Int = 0
        var bodyBytes: curl_off_t = 0
        _ = tgpipe_curl_get_long(easy, CURLINFO_REQUEST_SIZE, &headBytes)
        _ = tgpipe_curl_get_offset(easy, CURLINFO_SIZE_UPLOAD_T, &bodyBytes)
        return headBytes > 0 && Int64(bodyBytes) >= body?.count ?? 0
    }

    /// The sum of the bytes received, sent, and still waiting in the socket. It changes whenever the peer takes or
    /// sends bytes.
    private var activity: Int64 {
        var down: curl_off_t = 0
        var up: curl_off_t = 0
        var socket = CURL_SOCKET_BAD
        var queued: Int32 = 0
        _ = tgpipe_curl_get_offset(easy, CURLINFO_SIZE_DOWNLOAD_T, &down)
        _ = tgpipe_curl_get_offset(easy, CURLINFO_SIZE_UPLOAD_T, &up)
        if tgpipe_curl_get_socket(easy, &socket) == CURLE_OK, socket >= 0 {
            _ = ioctl(socket, UInt(TIOCOUTQ), &queued)
        }
        return Int64(down) + Int64(up) - Int64(queued) + Int64(incoming.totalBytes)
    }
}

// MARK: - Events from libcurl

extension Transfer {
    /// Reads one header line; returns false to end the transfer.
    func receiveHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        guard incoming.totalBytes + line.count <= 512 << 10 else {
            failure = HTTPError(.protocolError, "\(peer) sent too many headers")
            return false
        }
        guard incoming.take(line) else { return true }
        let isRedirect = request.maxRedirects > 0 && incoming.isRedirect
        if incoming.status >= 200, !isRedirect { deliverHead() }
        return failure == nil && !wasStopped
    }

    /// Receives bytes of the body; returns false to end the transfer.
    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        deliverHead()
        guard failure == nil, !wasStopped else { return false }
        let start = ContinuousClock.now
        defer { clock.leaveOut(.now - start) }
        do {
            try onBody(bytes)
            return true
        } catch {
            failSink(error)
            return false
        }
    }

    /// Supplies bytes of the request's body; returns nil to end the transfer.
    func provideBody(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        do throws(HTTPError) {
            return try body?.read(into: buffer) ?? 0
        } catch {
            failure = error
            return nil
        }
    }

    func sent(_ bytes: Int64) {
        guard bytes > sentBytes else { return }
        sentBytes = bytes
        request.onUpload?(bytes)
    }

    /// Is true if the last answer was a redirect.
    var isRedirected: Bool { incoming.isRedirect }

    private func deliverHead() {
        guard head == nil, incoming.status >= 200 else { return }
        let head = HTTPHead(status: incoming.status, headers: incoming.headers, effectiveURL: effectiveURL)
        self.head = head
        do {
            wasStopped = try onHead(head) == .stop
        } catch {
            failSink(error)
        }
    }

    private func failSink(_ error: any Error) {
        if error is BodyTooLong {
            failure = HTTPError(.tooLarge, "\(peer) sent more than \(request.maxBodyBytes) bytes")
        } else {
            failure = HTTPError(.sink, "the answer of \(peer) could not be stored", underlying: error)
        }
    }

    private var effectiveURL: String {
        var text: UnsafeMutablePointer<CChar>?
        _ = tgpipe_curl_get_string(easy, CURLINFO_EFFECTIVE_URL, &text)
        return text.map { String(cString: $0) } ?? request.url
    }

    /// The host that is connected to, for messages.
    var peer: String { WebURL(effectiveURL)?.host ?? "the server" }
}

/// Turns a request into options of a libcurl handle.
extension Transfer {
    func configure(_ url: WebURL, _ identity: ClientIdentity) throws(HTTPError) {
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_URL, url.description)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        // Each transfer has a connection: large bodies move faster than through one multiplexed connection, and a
        // long poll holds up nothing.
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        set(CURLOPT_BUFFERSIZE, 512 << 10)
        set(CURLOPT_UPLOAD_BUFFERSIZE, 512 << 10)
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(clamping: request.connectTimeout.milliseconds))
        set(CURLOPT_FOLLOWLOCATION, request.maxRedirects > 0 ? 1 : 0)
        set(CURLOPT_MAXREDIRS, max(0, request.maxRedirects))
        // An empty jar of this request's own: servers hand cookies to the redirects of one request.
        if request.maxRedirects > 0 { set(CURLOPT_COOKIEFILE, "") }
        // libcurl decodes an answer only if an encoding was asked for. A server may encode it all the same.
        if request.decodesContent { set(CURLOPT_ACCEPT_ENCODING, "identity") }
        set(CURLOPT_USERAGENT, identity.userAgent)
        if let caFile = identity.caFile { set(CURLOPT_CAINFO, caFile) }
        if request.addressPolicy != .any { set(CURLOPT_PROXY, "") }
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

    /// Makes the request's headers, and removes those that libcurl would add of its own.
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

/// Connects libcurl's callbacks to the transfer that owns the handle.
extension Transfer {
    func installCallbacks() {
        // The pointer is not retained: the loop holds the transfer as long as libcurl has its handle.
        let me = Unmanaged.passUnretained(self).toOpaque()
        for option in [
            CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA, CURLOPT_SEEKDATA, CURLOPT_XFERINFODATA,
            CURLOPT_OPENSOCKETDATA, CURLOPT_PREREQDATA,
        ] {
            _ = tgpipe_curl_set_pointer(easy, option, me)
        }
        installReceiving()
        installSending()
        installAddressChecks()
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> Transfer? {
        context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
    }

    private func installReceiving() {
        _ = tgpipe_curl_on_write(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
            return Transfer.of(context)?.receiveHeader(line) == true ? line.count : 0
        }
        _ = tgpipe_curl_on_write(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            let buffer = UnsafeRawBufferPointer(start: bytes, count: size * count)
            return Transfer.of(context)?.receiveBody(buffer) == true ? buffer.count : 0
        }
    }

    private func installSending() {
        guard body != nil || request.method == "POST" || request.method == "PUT" else { return }
        _ = tgpipe_curl_on_read(easy) { bytes, size, count, context in
            let buffer = UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
            guard let transfer = Transfer.of(context) else { return Int(CURL_READFUNC_ABORT) }
            return transfer.provideBody(into: buffer) ?? Int(CURL_READFUNC_ABORT)
        }
        _ = tgpipe_curl_on_seek(easy) { context, offset, origin in
            guard origin == SEEK_SET, let transfer = Transfer.of(context) else { return CURL_SEEKFUNC_CANTSEEK }
            // Without a way back, libcurl cannot send the body again.
            guard transfer.request.isRepeatable else { return CURL_SEEKFUNC_FAIL }
            transfer.body?.seek(to: Int64(offset))
            return CURL_SEEKFUNC_OK
        }
        guard request.onUpload != nil else { return }
        _ = tgpipe_curl_set_long(easy, CURLOPT_NOPROGRESS, 0)
        _ = tgpipe_curl_on_progress(easy) { context, _, _, _, sent in
            Transfer.of(context)?.sent(Int64(sent))
            return 0
        }
    }

    /// Checks the address before a connection is opened, and again before a pooled one is used: another request's
    /// policy may have allowed it.
    private func installAddressChecks() {
        _ = tgpipe_curl_on_open_socket(easy) { context, _, address in
            guard let transfer = Transfer.of(context), let address else { return CURL_SOCKET_BAD }
            guard transfer.mayConnect(to: address) else { return CURL_SOCKET_BAD }
            let type = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
            return socket(address.pointee.family, type, address.pointee.`protocol`)
        }
        guard request.addressPolicy != .any else { return }
        _ = tgpipe_curl_on_before_request(easy) { context, address, _, _, _ in
            guard let transfer = Transfer.of(context), let address else { return CURL_PREREQFUNC_ABORT }
            let parsed = IPAddress(String(cString: address))
            if let parsed, transfer.request.addressPolicy.allows(parsed) { return CURL_PREREQFUNC_OK }
            transfer.refuseAddress()
            transfer.failure = transfer.refusal
            return CURL_PREREQFUNC_ABORT
        }
    }

    private func mayConnect(to address: UnsafeMutablePointer<curl_sockaddr>) -> Bool {
        if request.addressPolicy == .any { return true }
        let parsed = withUnsafePointer(to: &address.pointee.addr) { IPAddress($0) }
        if let parsed, request.addressPolicy.allows(parsed) { return true }
        refuseAddress()
        return false
    }
}

/// Translates libcurl's error codes.
extension Transfer {
    func refuseAddress() {
        addressWasRefused = true
    }

    var refusal: HTTPError { HTTPError(.refusedAddress, "\(peer) is not on the public internet") }

    func error(for code: CURLcode) -> HTTPError {
        switch code {
        case CURLE_COULDNT_CONNECT where addressWasRefused:
            refusal
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            HTTPError(.unreachable, "no address found for \(peer)")
        case CURLE_COULDNT_CONNECT:
            HTTPError(.unreachable, "unable to connect to \(peer)\(systemReason)")
        case CURLE_OPERATION_TIMEDOUT:
            HTTPError(.timedOut, "connecting to \(peer) took longer than \(request.connectTimeout.inWords)")
        case CURLE_UNSUPPORTED_PROTOCOL where !isRedirected:
            HTTPError(.protocolError, "\(peer) does not speak HTTP")
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            HTTPError(.invalidURL, "\(peer) redirected to a URL that is neither http nor https")
        case CURLE_TOO_MANY_REDIRECTS:
            HTTPError(.redirectLoop, "\(peer) redirected more than \(request.maxRedirects) times")
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_SEND_FAIL_REWIND:
            HTTPError(.truncated, "\(peer) closed the connection before the end\(systemReason)")
        case CURLE_BAD_CONTENT_ENCODING:
            HTTPError(.badEncoding, "\(peer) sent an answer that is not encoded as it says")
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            HTTPError(.tls, "no secure connection to \(peer): \(tlsReason(code))")
        case CURLE_SSL_CACERT_BADFILE:
            HTTPError(.tls, "unable to read the file of trusted certificates")
        case CURLE_OUT_OF_MEMORY:
            HTTPError(.localIO, "out of memory")
        default:
            HTTPError(.protocolError, "\(peer): \(String(cString: curl_easy_strerror(code)))")
        }
    }

    /// Is true if the host's name was not resolved, or the kernel has no route to it.
    private var isWithoutNetwork: Bool {
        var number: Int = 0
        _ = tgpipe_curl_get_long(easy, CURLINFO_OS_ERRNO, &number)
        return number == 0 || [ENETUNREACH, ENETDOWN, EHOSTUNREACH].contains(Int32(truncatingIfNeeded: number))
    }

    private var systemReason: String {
        var number: Int = 0
        guard tgpipe_curl_get_long(easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK, number != 0 else { return "" }
        return ": \(String(cString: strerror(Int32(number))))"
    }

    /// Returns the certificate check's own result, which is more precise than libcurl's one code for all of them.
    private func tlsReason(_ code: CURLcode) -> String {
        var verdict = 0
        _ = tgpipe_curl_get_long(easy, CURLINFO_SSL_VERIFYRESULT, &verdict)
        switch verdict {
        case 10: return "its certificate has expired"
        case 18, 19: return "its certificate is self-signed"
        case 20, 21: return "its certificate is not signed by a trusted authority"
        default: return String(cString: curl_easy_strerror(code))
        }
    }
}
