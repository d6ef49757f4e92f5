import Glibc
import Process
import System

/// Measures what the jail costs: runs a program several times with and without it, alternately, and prints the median of
/// both in milliseconds. Usage: `jail-check RUNS PROGRAM [ARGUMENT…]`.
@main
enum JailCheck {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3, let runs = Int(arguments[1]), runs > 0 else {
            print("usage: jail-check RUNS PROGRAM [ARGUMENT…]")
            exit(64)
        }
        let command = Command(arguments[2], Array(arguments.dropFirst(3)))
        var times: [(free: Double, jailed: Double)] = []
        // Both kinds share what each pays once, such as looking for the layers of this machine and filling the caches.
        _ = try await measure(command, isJailed: true)
        for _ in 0..<runs {
            times.append(
                (try await measure(command, isJailed: false), try await measure(command, isJailed: true)))
        }
        print(median(times.map(\.free)), median(times.map(\.jailed)))
    }

    /// Returns how long one run takes, with making its network and finding its files.
    private static func measure(_ command: Command, isJailed: Bool) async throws -> Double {
        let start = ContinuousClock.now
        var command = command
        if isJailed {
            command.jail = Jail(
                network: .only(try JailNetwork(listens: true)), readable: ProgramFiles([command.program]).paths,
                writable: [], limits: JailLimits(memoryBytes: 3 << 30, cpuSeconds: 600))
        }
        let exit = try await ChildRun(command, timeout: .seconds(60)).run(onOutput: { _ in })
        guard exit.isSuccess else {
            throw ToolError(.configuration, "\(command.program) failed: \(exit.errorLines.joined(separator: " "))")
        }
        return (ContinuousClock.now - start) / .milliseconds(1)
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}
