import Glibc
import Process
import System

/// Runs programs in a jail, for a benchmark and for tests that need another user.
///
/// - `jail-check cost RUNS PROGRAM [ARGUMENT…]` runs a program several times with and without the jail, alternately, and prints the
///   median of both in milliseconds.
/// - `jail-check processes LIMIT PROGRAM [ARGUMENT…]` runs a program once, with a limit for the number of processes. It prints
///   the lines of the program, and before them the name of the layer if this user has it.
@main
enum JailCheck {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 4, let number = Int(arguments[2]), number > 0 else { usage() }
        let command = Command(arguments[3], Array(arguments.dropFirst(4)))
        switch arguments[1] {
        case "cost": try await printCost(of: command, runs: number)
        case "processes": try await run(command, maxProcesses: UInt64(number))
        default: usage()
        }
    }

    private static func usage() -> Never {
        print("usage: jail-check {cost RUNS | processes LIMIT} PROGRAM [ARGUMENT…]")
        exit(64)
    }

    private static func printCost(of command: Command, runs: Int) async throws {
        var times: [(free: Double, jailed: Double)] = []
        // Both kinds share what each pays once, such as looking for the layers of this machine and filling the caches.
        _ = try await measure(command, isJailed: true)
        for _ in 0..<runs {
            times.append(
                (try await measure(command, isJailed: false), try await measure(command, isJailed: true)))
        }
        print(median(times.map(\.free)), median(times.map(\.jailed)))
    }

    private static func run(_ command: Command, maxProcesses: UInt64) async throws {
        let command = try jailed(command, JailLimits(processes: maxProcesses))
        if JailLayers.available.contains(.processCount) { print("process count") }
        try check(command, await ChildRun(command, timeout: .seconds(60)).run(onLine: { print($0) }))
    }

    /// Returns how long one run takes, with making its network and finding its files.
    private static func measure(_ command: Command, isJailed: Bool) async throws -> Double {
        let start = ContinuousClock.now
        let command = isJailed ? try jailed(command, JailLimits(memoryBytes: 3 << 30, cpuSeconds: 600)) : command
        try check(command, await ChildRun(command, timeout: .seconds(60)).run(onOutput: { _ in }))
        return (ContinuousClock.now - start) / .milliseconds(1)
    }

    private static func jailed(_ command: Command, _ limits: JailLimits) throws -> Command {
        var command = command
        command.jail = Jail(
            network: .only(try JailNetwork(listens: true)), readable: ProgramFiles([command.program]).paths,
            writable: [], limits: limits)
        return command
    }

    private static func check(_ command: Command, _ exit: ChildRun.Exit) throws {
        guard exit.isSuccess else {
            throw ToolError(.configuration, "\(command.program) failed: \(exit.errorLines.joined(separator: " "))")
        }
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}
