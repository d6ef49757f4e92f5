import Process
import Stage
import Synchronization
import System

/// Runs a program once for a batch of events: the lines go in, the result's lines come out.
struct ProgramRun: Sendable {
    /// Tells how a run ended that did not do its work.
    enum Failure: Error, Sendable, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)
        /// The program ran longer than `--timeout` and was ended.
        case overdue
        /// The program wrote more than `--max-output` and was ended.
        case flooded

        private var status: ExitStatus? {
            if case .exited(let status) = self { ExitStatus(rawValue: status) } else { nil }
        }

        /// Is true if the worker ends too: wrong settings and refused credentials are not the events' fault, and would fail the
        /// next events as well.
        var endsWorker: Bool { status == .configuration || status == .authenticationRefused }
        /// Is true if another attempt may succeed.
        var isTransient: Bool { status != .malformedInput }
        /// The status with which the worker ends when `endsWorker` is true.
        var exitStatus: ExitStatus { status ?? .unavailable }

        var description: String {
            switch self {
            case .exited(let status): "ended with status \(status)"
            case .killed(let number): "was ended by signal \(number)"
            case .overdue: "did not end within --timeout, and was killed"
            case .flooded: "wrote more than --max-output allows, and was killed"
            }
        }
    }

    private let run: ChildRun
    var name: String { run.command.program }

    /// - Parameters:
    ///   - input: the events' lines.
    ///   - timeout: the longest time that the run may take.
    ///   - maxOutputBytes: the most bytes that the program may write to its standard output.
    init(_ program: Command, input: [UInt8], timeout: Duration, maxOutputBytes: Int) {
        var run = ChildRun(program, timeout: timeout)
        run.input = input
        run.keepsErrors = false
        run.grace = .seconds(2)
        run.maxOutputBytes = maxOutputBytes
        self.run = run
    }

    /// Runs the program to its end.
    ///
    /// - Returns: the lines that it wrote, each with a line feed.
    /// - Throws: `ToolError` when it could not be started, `CancellationError` when the task was cancelled.
    func result() async throws -> Result<[UInt8], Failure> {
        let output = Mutex<[UInt8]>([])
        let exit: ChildRun.Exit
        do throws(ChildProcess.Failure) {
            exit = try await run.run(onOutput: { bytes in output.withLock { $0.append(contentsOf: bytes) } })
        } catch {
            throw ProgramRun.error(error, run.command.program)
        }
        try Task.checkCancellation()
        switch exit.cause {
        case .ended(.exited(0)): return .success(output.withLock { $0 }.wholeLines)
        case .ended(.exited(let status)): return .failure(.exited(status))
        case .ended(.signalled(let number)): return .failure(.killed(signal: number))
        case .overdue: return .failure(.overdue)
        case .flooded: return .failure(.flooded)
        case .cancelled: throw CancellationError()
        }
    }

    private static func error(_ failure: ChildProcess.Failure, _ program: String) -> ToolError {
        switch failure.step {
        case .openPipe, .openFile, .watch: ToolError(.unavailable, "unable to run \(program): \(failure)")
        case .findProgram, .start, .confine: ToolError(.configuration, "unable to start \(program): \(failure)")
        }
    }
}

extension [UInt8] {
    /// The bytes with a line feed after the last line.
    fileprivate var wholeLines: [UInt8] { last.map { $0 == 0x0A ? self : self + [0x0A] } ?? [] }
}
