import System
import CChild
import Glibc
import Synchronization

/// A program run to its end by a thread of its own, which reads what it prints, and ends it when it is told to or overdue.
///
/// The child is a session of its own; when it ends, is cancelled or this program dies, however that happens, its whole
/// group goes.
final class GuardedChild: Sendable {
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
        let process = try GuardedChild(command, onLine)
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
            let child = try command.start(output: output ?? lines.writeEnd, error: errors.writeEnd)
            lines.closeWriteEnd()
            errors.closeWriteEnd()
            var supervisor = try Supervisor(child, lines: lines, errors: errors, cancellation: cancellation)
            return .success(supervisor.supervise(command, grace: GuardedChild.grace, onLine: onLine))
        } catch {
            return .failure(error)
        }
    }

    private func openOutput(_ path: String) throws(MediaError) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .local("write a file", errno) }
        return descriptor
    }
}
