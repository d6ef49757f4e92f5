import CCurl
import Glibc

/// libcurl's callbacks, each handed on to the transfer whose handle it is.
extension Transfer {
    func installCallbacks() {
        // Unretained: the loop holds the transfer as long as libcurl has its handle.
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

    /// The address is checked before a connection is opened, and again before a pooled one is used: another request's
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
