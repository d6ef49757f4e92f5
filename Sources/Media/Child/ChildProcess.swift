import Blocking
import CChild
import Glibc
import Synchronization

/// A running child, driven by a thread of its own: reads what it prints, ends it when told to or overdue, reaps it.
///
/// The child is a session of its own; when it ends, is cancelled or this program dies, its whole group goes.
final class ChildProcess: Sendable {
    /// How long a child has to end after it was asked to.
    private static let grace = Duration.seconds(5)

    private let command: ChildCommand
    private let onLine: @Sendable (String) -> Void
    /// Readable when the child is to be ended.
    private let cancellation: Pipe

    private init(_ command: ChildCommand, _ onLine: @escaping @Sendable (String) -> Void) throws(MediaError) {
        self.command = command
        self.onLine = onLine
        cancellation = try Pipe()
    }

    /// Runs a child to its end.
    ///
    /// - Parameter onLine: gets each line of its standard output, on the child's thread.
    /// - Throws: `missingProgram`, `cancelled`, or `localIO` when it could not be started. How it ended is a value.
    static func run(
        _ command: ChildCommand, onLine: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws(MediaError) -> ChildExit {
        let process = try ChildProcess(command, onLine)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                BlockingThread.start { continuation.resume(returning: process.runToEnd()) }
            }
        } onCancel: {
            process.cancellation.signal()
        }
        let exit = try result.get()
        if Task.isCancelled { throw .cancelled }
        return exit
    }

    private func runToEnd() -> Result<ChildExit, MediaError> {
        do throws(MediaError) {
            let output = try command.outputFile.map { path throws(MediaError) in try openOutput(path) }
            defer { if let output { close(output) } }
            let lines = try Pipe()
            let errors = try Pipe()
            let child = try start(output: output ?? lines.writeEnd, error: errors.writeEnd)
            lines.closeWriteEnd()
            errors.closeWriteEnd()
            var supervisor = try Supervisor(child, lines: lines, errors: errors, cancellation: cancellation)
            return .success(supervisor.supervise(command, grace: ChildProcess.grace, onLine: onLine))
        } catch {
            return .failure(error)
        }
    }

    private func openOutput(_ path: String) throws(MediaError) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .local("write a file", errno) }
        return descriptor
    }

    private func start(output: Int32, error: Int32) throws(MediaError) -> pid_t {
        guard let executable = command.executable else {
            throw MediaError(.missingProgram, "\(command.program.lastComponent) is not installed here.")
        }
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(input) }
        let environment = command.environment.map { "\($0.key)=\($0.value)" }
        let started = withCStrings([command.program] + command.arguments) { arguments in
            withCStrings(environment) { environment in
                executable.withCString { path in
                    command.directory.withCString { directory in
                        var child = tgp_child(
                            path: path, arguments: arguments, environment: environment, directory: directory,
                            input: input, output: output, error: error, max_file_bytes: command.maxFileBytes)
                        return tgp_child_start(&child)
                    }
                }
            }
        }
        guard started > 0 else { throw .local("start \(command.program.lastComponent)", -started) }
        return started
    }
}

/// Calls with a NULL-terminated array of C strings, valid during the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    let pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the array holds a nil at least") }
        return body(base)
    }
}

extension String {
    /// What follows the last slash.
    var lastComponent: String { split(separator: "/").last.map(String.init) ?? self }
}
