import CCurl
import Glibc
import Synchronization

/// One thread that drives the transfers of a client with a libcurl multi handle.
///
/// `@unchecked Sendable`: `multi` is thread-safe only in `curl_multi_wakeup`, which is all that other threads call;
/// `active` belongs to the thread. The thread holds the loop, so it lives until `stop()`.
final class TransferLoop: @unchecked Sendable {
    typealias Continuation = CheckedContinuation<Result<HTTPHead, HTTPError>, Never>

    private struct Inbox {
        var submitted: [Transfer] = []
        var cancelled: [Transfer] = []
        var isStarted = false
        var isStopping = false
    }

    private let inbox = Mutex(Inbox())
    private let multi: UnsafeMutableRawPointer?
    private var active: [UnsafeMutableRawPointer: Transfer] = [:]

    init() {
        _ = libcurlIsReady
        multi = curl_multi_init()
        if let multi { _ = tgpipe_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 64) }
    }

    deinit {
        if let multi { curl_multi_cleanup(multi) }
    }

    /// Takes over a transfer; its continuation is resumed once.
    func submit(_ transfer: Transfer, _ continuation: Continuation) {
        transfer.continuation = continuation
        let mustStart = inbox.withLock { inbox in
            inbox.submitted.append(transfer)
            defer { inbox.isStarted = true }
            return !inbox.isStarted
        }
        if mustStart { startThread() } else { wake() }
    }

    /// Ends a transfer that was submitted, or is about to be.
    func cancel(_ transfer: Transfer) {
        transfer.isCancelled.store(true, ordering: .relaxed)
        inbox.withLock { $0.cancelled.append(transfer) }
        wake()
    }

    /// Ends the thread; nothing may be under way.
    func stop() {
        inbox.withLock { $0.isStopping = true }
        wake()
    }

    private func wake() {
        if let multi { curl_multi_wakeup(multi) }
    }

    private func startThread() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let failure = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<TransferLoop>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context)
        if failure == 0 {
            pthread_detach(thread)
        } else {
            Unmanaged<TransferLoop>.fromOpaque(context).release()
            let orphans = inbox.withLock { inbox in
                inbox.isStarted = false
                defer { inbox.submitted = [] }
                return inbox.submitted
            }
            for transfer in orphans { transfer.finish(.failure(HTTPError(.localIO, "unable to start a thread"))) }
        }
    }
}

// MARK: - On the loop's thread

extension TransferLoop {
    private func run() {
        // Signals are the program's business; a peer that goes away must not raise SIGPIPE here.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        inUTF8Locale { drive() }
    }

    private func drive() {
        var running: Int32 = 0
        while takeInbox() {
            curl_multi_perform(multi, &running)
            collectFinished()
            let wait = checkClocks()
            curl_multi_poll(multi, nil, 0, wait, nil)
        }
    }

    /// Starts what was submitted and ends what was cancelled; false when the loop is to end.
    private func takeInbox() -> Bool {
        let news = inbox.withLock { inbox in
            defer {
                inbox.submitted = []
                inbox.cancelled = []
            }
            return inbox
        }
        for transfer in news.submitted { start(transfer) }
        for transfer in news.cancelled where active[transfer.easy] != nil { end(transfer, .failure(.cancelled)) }
        return !news.isStopping
    }

    private func start(_ transfer: Transfer) {
        guard !transfer.isCancelled.load(ordering: .relaxed) else { return transfer.finish(.failure(.cancelled)) }
        guard let multi, curl_multi_add_handle(multi, transfer.easy) == CURLM_OK else {
            return transfer.finish(.failure(HTTPError(.localIO, "unable to start a transfer")))
        }
        transfer.clock.start()
        active[transfer.easy] = transfer
    }

    private func end(_ transfer: Transfer, _ result: Result<HTTPHead, HTTPError>) {
        curl_multi_remove_handle(multi, transfer.easy)
        active[transfer.easy] = nil
        transfer.finish(result)
    }

    private func collectFinished() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let transfer = active[easy]
            else { continue }
            end(transfer, transfer.result(of: message.pointee.data.result))
        }
    }

    /// Ends what took too long; returns how long the loop may sleep, in milliseconds.
    private func checkClocks() -> Int32 {
        var sleep = Duration.seconds(60)
        for transfer in Array(active.values) {
            if let failure = transfer.checkClock() {
                end(transfer, .failure(failure))
            } else {
                sleep = min(sleep, transfer.clock.untilNextCheck)
            }
        }
        let parts = sleep.components
        return Int32(max(1, parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000))
    }
}

/// libcurl's one-time set-up; reading it makes sure that it was done.
private let libcurlIsReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

extension HTTPError {
    static let cancelled = HTTPError(.cancelled, "cancelled")
}
