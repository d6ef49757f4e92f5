import CCurl
import Glibc
import JSON
import Synchronization

/// Drives the transfers of a client on one thread, with a libcurl multi handle.
///
/// libcurl and its thirty libraries take 1.5 MB of a process, so they are loaded for the first transfer only: many stages have a client
/// that they never use.
///
/// `@unchecked Sendable`: other threads only call `curl_multi_wakeup`, which is thread-safe; `active` belongs to the
/// thread. The thread holds the loop, which therefore lives until `stop()`.
final class TransferLoop: @unchecked Sendable {
    typealias Continuation = CheckedContinuation<Result<HTTPHead, HTTPError>, Never>

    /// `@unchecked Sendable`: see the class.
    private struct Handle: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
    }

    private struct Inbox {
        /// Is nil until the first transfer.
        var multi: Handle?
        var submitted: [Transfer] = []
        var cancelled: [Transfer] = []
        var isStarted = false
        var isStopping = false
    }

    private let inbox = Mutex(Inbox())
    private var active: [UnsafeMutableRawPointer: Transfer] = [:]

    deinit {
        if let multi { curl_multi_cleanup(multi) }
    }

    private var multi: UnsafeMutableRawPointer? { inbox.withLock { $0.multi }?.pointer }

    /// Loads libcurl. To be called before a transfer is made.
    func prepare() {
        inbox.withLock { inbox in
            guard inbox.multi == nil else { return }
            _ = libcurlIsReady
            guard let made = curl_multi_init() else { return }
            _ = tgpipe_curl_multi_set_long(made, CURLMOPT_MAXCONNECTS, 64)
            inbox.multi = Handle(pointer: made)
        }
    }

    /// Accepts a transfer; its continuation is resumed once.
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

    /// Ends the thread. No transfer may be running.
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
        // Signals are handled by the program's other threads. A peer that goes away must not raise SIGPIPE here.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        inUTF8Locale { drive(multi) }
    }

    private func drive(_ multi: UnsafeMutableRawPointer?) {
        var running: Int32 = 0
        while takeInbox() {
            curl_multi_perform(multi, &running)
            collectFinished()
            let wait = checkClocks()
            curl_multi_poll(multi, nil, 0, wait, nil)
        }
    }

    /// Starts submitted transfers and ends cancelled ones; returns false when the loop is to end.
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

    /// Ends transfers that took too long; returns how long the loop may sleep, in milliseconds.
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

/// Initializes libcurl once, when it is first read.
private let libcurlIsReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

extension HTTPError {
    static let cancelled = HTTPError(.cancelled, "cancelled")
}

/// Measures whether a transfer has taken too long, as a whole or since bytes last moved.
struct TransferClock {
    private let stallTimeout: Duration
    private let deadline: Duration?
    private let interval: Duration
    private var started = ContinuousClock.now
    private var lastMoved = ContinuousClock.now
    private var nextCheck = ContinuousClock.now
    private var lastActivity: Int64 = -1
    private let minimumRate: HTTPRequest.MinimumRate?
    private var window: (start: ContinuousClock.Instant, activity: Int64)?
    /// The time that the receiver has taken in the window, for which the peer is not to blame.
    private var blocked = Duration.zero

    enum Verdict {
        case goOn
        case stalled
        case overdue
        case tooSlow
    }

    init(stallTimeout: Duration, deadline: Duration?, minimumRate: HTTPRequest.MinimumRate? = nil) {
        self.minimumRate = minimumRate
        self.stallTimeout = stallTimeout
        self.deadline = deadline
        interval = max(.milliseconds(20), min(.seconds(1), min(stallTimeout, deadline ?? stallTimeout) / 5))
    }

    /// Leaves out a time in which the receiver took no bytes.
    mutating func leaveOut(_ time: Duration) {
        blocked += time
        lastMoved += time
    }

    mutating func start() {
        started = .now
        lastMoved = started
        nextCheck = started + interval
    }

    var untilNextCheck: Duration { max(.zero, nextCheck - .now) }

    var isDue: Bool { ContinuousClock.now >= nextCheck }

    /// Checks the transfer by a number that changes whenever bytes move.
    mutating func check(activity: Int64) -> Verdict {
        let now = ContinuousClock.now
        nextCheck = now + interval
        if activity != lastActivity {
            lastActivity = activity
            lastMoved = now
        }
        if let deadline, now - started >= deadline { return .overdue }
        if now - lastMoved >= stallTimeout { return .stalled }
        return isTrickling(activity, now) ? .tooSlow : .goOn
    }

    /// Checks one window after another. The first begins with the first bytes, so that the time before them does not
    /// count.
    private mutating func isTrickling(_ activity: Int64, _ now: ContinuousClock.Instant) -> Bool {
        guard let minimumRate, activity > 0 else { return false }
        guard let window else {
            window = (now, activity)
            blocked = .zero
            return false
        }
        let time = now - window.start - blocked
        guard time >= minimumRate.window else { return false }
        self.window = (now, activity)
        blocked = .zero
        return Double(activity - window.activity) < minimumRate.bytesPerSecond * (time / .seconds(1))
    }
}
