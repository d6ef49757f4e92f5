import CCurl
import Glibc
import Synchronization

/// One request under way: its libcurl handle, its limits, and what has come so far.
///
/// `@unchecked Sendable`: the caller makes it, then the loop's thread alone touches it; only `isCancelled` is shared.
final class Transfer: @unchecked Sendable {
    let request: HTTPRequest
    let easy: UnsafeMutableRawPointer
    let isCancelled = Atomic(false)
    var continuation: TransferLoop.Continuation?
    var clock: TransferClock
    var body: BodySource?
    /// Why the transfer ends, when one of our callbacks ended it.
    var failure: HTTPError?
    var addressWasRefused = false

    private let onHead: (HTTPHead) throws -> HeadDecision
    private let onBody: (UnsafeRawBufferPointer) throws -> Void
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var incoming = IncomingHead()
    private var head: HTTPHead?
    private var wasStopped = false
    private var sentBytes: Int64 = 0

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
        continuation?.resume(returning: result)
        continuation = nil
    }

    /// What the end of the transfer means.
    func result(of code: CURLcode) -> Result<HTTPHead, HTTPError> {
        if wasStopped, let head { return .success(head) }
        if let failure { return .failure(failure) }
        guard code == CURLE_OK else { return .failure(error(for: code)) }
        deliverHead()
        if let failure { return .failure(failure) }
        guard let head else { return .failure(HTTPError(.protocolError, "\(peer) sent no answer")) }
        return .success(head)
    }

    /// An error when the transfer has taken too long.
    func checkClock() -> HTTPError? {
        guard clock.isDue else { return nil }
        switch clock.check(activity: activity) {
        case .goOn: return nil
        case .stalled: return HTTPError(.timedOut, "\(peer) went silent for \(request.stallTimeout)")
        case .tooSlow: return HTTPError(.timedOut, "\(peer) sends hardly anything")
        case .overdue: return HTTPError(.timedOut, "\(peer) did not finish within \(request.deadline ?? .zero)")
        }
    }

    /// Bytes received, sent, and still waiting in the socket: the sum changes while the peer takes or gives any.
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

// MARK: - What libcurl reports

extension Transfer {
    /// Takes one header line; false ends the transfer.
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

    /// Takes bytes of the body; false ends the transfer.
    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        deliverHead()
        guard failure == nil, !wasStopped else { return false }
        do {
            try onBody(bytes)
            return true
        } catch {
            failSink(error)
            return false
        }
    }

    /// Gives bytes of the request's body; nil ends the transfer.
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

    /// Whether the last answer said to go elsewhere.
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
            failure = HTTPError(.sink, "the answer of \(peer) could not be taken", underlying: error)
        }
    }

    private var effectiveURL: String {
        var text: UnsafeMutablePointer<CChar>?
        _ = tgpipe_curl_get_string(easy, CURLINFO_EFFECTIVE_URL, &text)
        return text.map { String(cString: $0) } ?? request.url
    }

    /// The host that is spoken to, for messages.
    var peer: String { WebURL(effectiveURL)?.host ?? "the server" }
}
