import JSON
import Process
import System
import Glibc

/// The running program of a filter: lines in, a line out for each.
final class FilterProcess {
    enum Failure: Error {
        case ended
        case tooSlow
        case tooLong
        /// More answers than lines: which of them belongs to which, nobody can tell.
        case tooMany
    }

    private let process: ChildProcess
    /// -1 when it is closed.
    private var input: Int32
    private let output: Int32
    private let maxLineBytes: Int
    private var received: [UInt8] = []
    /// How long it still has to end when its input is closed.
    private var patience = Duration.seconds(5)

    init(command: String, maxLineBytes: Int) throws(ToolError) {
        let failure = ToolError(.localIO, "unable to make a pipe for exec:\(command.printable)")
        guard let inward = PipeCalls.open() else { throw failure }
        guard let outward = PipeCalls.open() else {
            close(inward.reading)
            close(inward.writing)
            throw failure
        }
        for end in [inward.writing, outward.reading] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        defer {
            close(inward.reading)
            close(outward.writing)
        }
        (input, output, self.maxLineBytes) = (inward.writing, outward.reading, maxLineBytes)
        do throws(ChildProcess.Failure) {
            process = try ChildProcess(["/bin/sh", "-c", command], input: inward.reading, output: outward.writing)
        } catch {
            close(input)
            close(output)
            throw ToolError(.unavailable, "unable to start exec:\(command.printable): \(error)")
        }
    }

    deinit {
        if input >= 0 { close(input) }
        close(output)
        if let ending = process.wait(atMost: patience) { return _ = ending }
        process.signal(SIGTERM)
        if process.wait(atMost: .seconds(2)) == nil {
            process.signal(SIGKILL)
            _ = process.wait(atMost: .seconds(2))
        }
    }

    /// Ends a program that does not answer.
    func kill() { process.signal(SIGKILL) }

    /// Closes its input and hears it out: whether it says nothing more, as it should, since all is answered.
    func endsQuietly() -> Bool {
        close(input)
        input = -1
        let deadline = ContinuousClock.now + patience
        defer { patience = max(.milliseconds(100), ContinuousClock.now.duration(to: deadline)) }
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

    /// How it ended, when its output has.
    var ending: ChildProcess.Ending? { process.wait(atMost: .seconds(1)) }

    /// Writes lines, and takes an answer for each.
    ///
    /// - Parameters:
    ///   - limit: how long an answer may take.
    ///   - take: given each answer, without its line feed.
    func answer(_ lines: [[UInt8]], within limit: Duration, take: ([UInt8]) -> Void) throws(Failure) {
        var rest = lines.flatMap { $0 + [UInt8(ascii: "\n")] }[...]
        var missing = lines.count
        var deadline = ContinuousClock.now + limit
        guard try !hasUnasked() else { throw .tooMany }
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

    /// Whether it has written something that nothing was asked for.
    private func hasUnasked() throws(Failure) -> Bool {
        var set = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        // An end is found out with the next answer.
        guard poll(&set, 1, 0) > 0, set.revents & Int16(POLLIN) != 0 else { return !received.isEmpty }
        return try !readLines().isEmpty || !received.isEmpty
    }

    private func write(_ rest: inout ArraySlice<UInt8>) throws(Failure) {
        let count = rest.withUnsafeBytes { Glibc.write(input, $0.baseAddress, min($0.count, 1 << 16)) }
        if count > 0 {
            rest = rest.dropFirst(count)
        } else if errno != EAGAIN && errno != EINTR {
            // What it has answered before is still to be read.
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
