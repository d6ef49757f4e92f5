import Envelope
import Glibc
import JSON
import Logging
import Payloads
import Process
import System

/// Runs `exec:PROGRAM` as a middleware: the program receives each event as a line, and answers each with one line. An
/// envelope takes the event's place, an empty line drops the event, and an `events.dead_letter` refuses it.
///
/// A program that ends or does not answer in time is started again, and receives the unanswered events once more.
final class ExecFilter: Middleware {
    /// The number of times that the program may end at the same event before the event is refused.
    static let deathsOfOneEvent = 3
    /// The number of events that are written ahead of the answers.
    private static let window = 256

    private let command: String
    private let timeout: Duration
    private let maxLineBytes: Int
    private let retry: RetryPolicy
    private let log: Logger
    private let parser = JSONParser()
    private var process: FilterProcess?
    private var backoff: Backoff
    /// The number of times in a row that the program has ended without an answer.
    private var fruitless = 0

    init(command: String, timeout: Duration, retry: RetryPolicy, maxLineBytes: Int, log: Logger) throws(ToolError) {
        (self.command, self.timeout, self.retry, self.maxLineBytes) = (command, timeout, retry, maxLineBytes)
        self.log = log
        backoff = retry.backoff
        process = try FilterProcess(command: command, maxLineBytes: maxLineBytes)
    }

    private var name: String { "exec:\(command.printable)" }

    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) throws(ToolError) {
        // The number of times in a row that the program has ended at the first unanswered event.
        var deaths = 0
        while verdicts.count < events.count {
            let part = events[verdicts.count...].prefix(deaths > 0 ? 1 : ExecFilter.window)
            let before = verdicts.count
            guard let failure = try attempt(Array(part), &verdicts) else {
                deaths = 0
                continue
            }
            deaths = verdicts.count > before ? 1 : deaths + 1
            fruitless = verdicts.count > before ? 0 : fruitless + 1
            try recover(from: failure)
            if deaths >= ExecFilter.deathsOfOneEvent {
                verdicts.append(.refuse(MalformedInput(.refused, "\(name) ended \(deaths) times at this event")))
                deaths = 0
            }
        }
    }

    /// Appends the verdicts on events until all are answered or the program fails.
    ///
    /// - Returns: the program's failure; nil if all events are answered.
    private func attempt(_ part: [MiddlewareEvent], _ verdicts: inout [Verdict]) throws(ToolError) -> FilterProcess
        .Failure?
    {
        let running: FilterProcess
        if let process {
            running = process
        } else {
            running = try FilterProcess(command: command, maxLineBytes: maxLineBytes)
            process = running
        }
        var index = 0
        do throws(FilterProcess.Failure) {
            try running.answer(part.map(\.line.bytes), within: timeout) { answer in
                verdicts.append(verdict(answer, on: part[index]))
                index += 1
            }
            fruitless = 0
            backoff.reset()
            return nil
        } catch {
            return error
        }
    }

    private func recover(from failure: FilterProcess.Failure) throws(ToolError) {
        var words: String
        switch failure {
        case .ended:
            let ending = process?.ending
            words = ending.map { "ended (\($0))" } ?? "closed its output"
            guard fruitless == 0 || (ending != .exited(126) && ending != .exited(127)) else {
                throw ToolError(.unavailable, "\(name) \(words)")
            }
        case .tooSlow: words = "did not answer within \(timeout.spanText) (does it write each answer at once?)"
        case .tooMany: throw tooMany
        case .tooLong: words = "answered with a line longer than \(maxLineBytes) bytes"
        }
        process?.kill()
        process = nil
        guard retry.allowsAttempt(after: fruitless) else {
            throw ToolError(.unavailable, "\(name) \(words), \(fruitless) times in a row without an answer")
        }
        let pause = backoff.next()
        log.warning("\(name) \(words); starting it again in \(pause.spanText)")
        usleep(UInt32(clamping: pause.milliseconds * 1000))
    }

    private func verdict(_ answer: [UInt8], on event: MiddlewareEvent) -> Verdict {
        if answer.isEmpty { return .drop }
        if event.line.withBytes({ answer.elementsEqual($0) }) { return .forward }
        let fault = answer.withUnsafeBytes { bytes in
            let scanned = parser.scan(bytes)
            guard let fault = scanned.fault else {
                return scanned.type.elementsEqual(DeadLetter.type.utf8) ? refusal(bytes) : nil
            }
            return MalformedInput(.refused, "\(name) answered with a line that is not an envelope: \(fault.reason)")
        }
        return fault.map { .refuse($0) } ?? .replace([answer])
    }

    /// Returns the refusal that an `events.dead_letter` of the program gives the reason for.
    private func refusal(_ answer: UnsafeRawBufferPointer) -> MalformedInput {
        let json = try? parser.parse(answer)
        let reason = json?["payload"]?["reason"]?.string ?? "no reason given"
        return MalformedInput(.refused, "\(name): \(reason.printable.prefix(500))")
    }

    /// The failure after too many answers. Some answers may have been matched to the wrong events, which cannot be
    /// undone.
    private var tooMany: ToolError {
        ToolError(.unavailable, "\(name) wrote more lines than it received events; answer each with one line")
    }

    func finish() throws(ToolError) {
        defer { process = nil }
        guard process?.endsQuietly() != false else { throw tooMany }
    }
}

/// Runs the program of an `exec:` filter, which answers each line of its input with one line.
final class FilterProcess {
    enum Failure: Error {
        /// The program ended, or closed its output.
        case ended
        /// An answer took longer than the limit.
        case tooSlow
        /// An answer is longer than the longest line.
        case tooLong
        /// There are more answers than lines, so that they cannot be matched.
        case tooMany
    }

    private let process: ChildProcess
    /// The writing end of the program's input; -1 once it is closed.
    private var input: Int32
    private let output: Int32
    private let maxLineBytes: Int
    private var received: [UInt8] = []
    /// The time left for the program to end after its input was closed.
    private var grace = Duration.seconds(5)

    /// Starts the program.
    ///
    /// - Throws: `ToolError` (74 without a pipe, 69 when the shell cannot be started).
    init(command: String, maxLineBytes: Int) throws(ToolError) {
        self.maxLineBytes = maxLineBytes
        do throws(ChildProcess.Failure) {
            process = try ChildProcess(.shell(command), input: .pipe(), output: .pipe())
        } catch {
            throw ToolError(startOf: "exec:\(command.printable)", error)
        }
        (input, output) = (process.takeInput(), process.takeOutput())
    }

    deinit {
        if input >= 0 { close(input) }
        close(output)
        if let ending = process.wait(atMost: grace) { return _ = ending }
        _ = process.terminate(grace: .seconds(2))
    }

    /// Kills a program that does not answer.
    func kill() { process.signal(SIGKILL) }

    /// Closes the program's input and reads its output to the end, or until the program's time to end is over.
    ///
    /// - Returns: whether the program wrote nothing more, as it should once every line is answered.
    func endsQuietly() -> Bool {
        close(input)
        input = -1
        let deadline = ContinuousClock.now + grace
        defer { grace = max(.milliseconds(100), ContinuousClock.now.duration(to: deadline)) }
        while case let left = ContinuousClock.now.duration(to: deadline), left > .zero {
            var set = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard poll(&set, 1, Int32(clamping: left.milliseconds + 1)) > 0 else { continue }
            do throws(Failure) {
                guard try readLines().isEmpty else { return false }
            } catch {
                if case .ended = error { return received.isEmpty }
                return false
            }
        }
        return true
    }

    /// The program's ending; nil when it has not ended after a second.
    var ending: ChildProcess.Ending? { process.wait(atMost: .seconds(1)) }

    /// Writes lines and reads an answer to each.
    ///
    /// - Parameters:
    ///   - limit: the longest time that an answer may take.
    ///   - take: gets each answer, without its line feed.
    func answer(_ lines: [[UInt8]], within limit: Duration, take: ([UInt8]) -> Void) throws(Failure) {
        var rest = lines.flatMap { $0 + [UInt8(ascii: "\n")] }[...]
        var missing = lines.count
        var deadline = ContinuousClock.now + limit
        guard try !hasUnrequestedOutput() else { throw .tooMany }
        while missing > 0 {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw .tooSlow }
            var set = [
                pollfd(fd: output, events: Int16(POLLIN), revents: 0),
                pollfd(fd: rest.isEmpty ? -1 : input, events: Int16(POLLOUT), revents: 0),
            ]
            if poll(&set, 2, Int32(clamping: left.milliseconds + 1)) < 0 { continue }
            if set[1].revents != 0 { try write(&rest) }
            guard set[0].revents != 0 else { continue }
            let answers = try readLines()
            guard answers.count <= missing else { throw .tooMany }
            for answer in answers { take(answer) }
            if !answers.isEmpty { deadline = .now + limit }
            missing -= min(missing, answers.count)
        }
    }

    /// Returns whether the program has written something before it got a line.
    private func hasUnrequestedOutput() throws(Failure) -> Bool {
        var set = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        // An end of the output shows with the next answer.
        guard poll(&set, 1, 0) > 0, set.revents & Int16(POLLIN) != 0 else { return !received.isEmpty }
        return try !readLines().isEmpty || !received.isEmpty
    }

    private func write(_ rest: inout ArraySlice<UInt8>) throws(Failure) {
        let count = rest.withUnsafeBytes { Glibc.write(input, $0.baseAddress, min($0.count, 1 << 16)) }
        if count > 0 {
            rest = rest.dropFirst(count)
        } else if errno != EAGAIN && errno != EINTR {
            // The program no longer reads. Its answers to earlier lines are still in the pipe.
            rest = []
        }
    }

    private func readLines() throws(Failure) -> [[UInt8]] {
        var block = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(output, &block, block.count)
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return [] }
        guard count > 0 else { throw .ended }
        let searched = received.count
        received.append(contentsOf: block[..<count])
        var lines: [[UInt8]] = []
        var start = 0
        while let feed = received[max(start, lines.isEmpty ? searched : start)...].firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(Array(received[start..<feed]))
            start = feed + 1
        }
        received.removeFirst(start)
        guard received.count <= maxLineBytes else { throw .tooLong }
        return lines
    }
}
