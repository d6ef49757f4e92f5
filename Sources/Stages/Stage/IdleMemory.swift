import System

/// Gives back memory that a process has used and does not need while it waits: code and constants, which are mapped again from the file
/// cache, and freed memory.
///
/// A stage uses ten megabytes of code for an event, and may then wait for hours.
struct IdleMemory {
    /// The processor time in a pause up to which the process counts as idle: that of its heartbeats.
    static let idleTime = Duration.milliseconds(20)
    /// The processor time since memory was last given back after which there is something to give back again.
    static let usefulTime = Duration.milliseconds(20)

    private var last = Duration.zero
    private var lastRelease: Duration?

    /// Returns whether memory is to be given back now. To be asked after each pause.
    ///
    /// - Parameter used: the processor time of the process since its start.
    mutating func isDue(used: Duration) -> Bool {
        defer { last = used }
        guard used - last <= IdleMemory.idleTime else { return false }
        if let lastRelease, used - lastRelease < IdleMemory.usefulTime { return false }
        lastRelease = used
        return true
    }

    /// Gives back memory whenever the process has become idle, until the task is cancelled.
    static func giveBackWhenIdle() async {
        var memory = IdleMemory()
        var pause = Duration.seconds(2)
        while (try? await Task.sleep(for: pause, tolerance: .seconds(1))) != nil {
            guard memory.isDue(used: .nanoseconds(SystemClocks.processorNanoseconds)) else { continue }
            ProgramStart.releasePages()
            Linux.returnFreeMemory()
            pause = .seconds(10)
        }
    }
}
