import Envelope
import Glibc
import JSON
import Logging
import Payloads
import Process
import System

/// `exec:PROGRAM` as a middleware: it gets each event as a line, and answers each with one line. An envelope takes the event's place,
/// an empty line drops it, an `events.dead_letter` refuses it.
///
/// A program that ends, or does not answer in time, is started again, and gets the events once more that it has not answered.
final class ExecFilter: Middleware {
    /// An event at which it has ended so often is refused: the others go on.
    static let deathsOfOneEvent = 3
    private static let window = 256

    private let command: String
    private let timeout: Duration
    private let maxLineBytes: Int
    private let retry: RetryPolicy
    private let log: Logger
    private let parser = JSONParser()
    private var process: FilterProcess?
    private var backoff: Backoff
    /// Ends in a row without an answer.
    private var fruitless = 0

    init(command: String, timeout: Duration, retry: RetryPolicy, maxLineBytes: Int, log: Logger) throws(ToolError) {
        (self.command, self.timeout, self.retry, self.maxLineBytes) = (command, timeout, retry, maxLineBytes)
        self.log = log
        backoff = retry.backoff
        process = try FilterProcess(command: command, maxLineBytes: maxLineBytes)
    }

    private var name: String { "exec:\(command.printable)" }

    func judge(_ events: [PassingEvent]) throws(ToolError) -> [Verdict] {
        var verdicts: [Verdict] = []
        verdicts.reserveCapacity(events.count)
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
        return verdicts
    }

    /// - Returns: why not all of them are answered.
    private func attempt(_ part: [PassingEvent], _ verdicts: inout [Verdict]) throws(ToolError) -> FilterProcess
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
            try running.answer(part.map(\.line), within: timeout) { answer in
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

    private func verdict(_ answer: [UInt8], on event: PassingEvent) -> Verdict {
        if answer.isEmpty { return .drop }
        if answer == event.line { return .pass }
        let fault = answer.withUnsafeBytes { bytes in
            let scanned = parser.scan(bytes)
            guard let fault = scanned.fault else {
                return scanned.type.elementsEqual(DeadLetter.type.utf8) ? refusal(bytes) : nil
            }
            return MalformedInput(.refused, "\(name) answered with no envelope: \(fault.reason)")
        }
        return fault.map { .refuse($0) } ?? .replace([answer])
    }

    /// An `events.dead_letter` that the program made says why.
    private func refusal(_ answer: UnsafeRawBufferPointer) -> MalformedInput {
        let json = try? parser.parse(answer)
        let reason = json?["payload"]?["reason"]?.string ?? "no reason given"
        return MalformedInput(.refused, "\(name): \(reason.printable.prefix(500))")
    }

    /// Answers may then have been taken for those of other events, so that some are there twice and others not: nothing mends that.
    private var tooMany: ToolError {
        ToolError(.unavailable, "\(name) wrote more lines than it was given events; each has one answer of one line")
    }

    func finish() throws(ToolError) {
        defer { process = nil }
        guard process?.endsQuietly() != false else { throw tooMany }
    }
}
