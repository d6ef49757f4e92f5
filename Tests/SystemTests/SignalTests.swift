import Synchronization
import System
import Testing

@Suite(.timeLimit(.minutes(1))) struct SignalTests {
    @Test func `A wait without a limit ends at the next notification, or at one since the generation was read`() async {
        let signal = Signal()
        let generation = signal.generation
        async let waiting: Void = signal.wait(since: generation)
        signal.notify()
        await waiting
        await signal.wait(since: generation)
    }

    @Test func `A wait without a limit ends when its task is cancelled`() async {
        let signal = Signal()
        let generation = signal.generation
        let task = Task { await signal.wait(since: generation) }
        task.cancel()
        await task.value
    }

    @Test func `A wait with a limit ends by itself`() async {
        let signal = Signal()
        await signal.wait(since: signal.generation, atMost: .milliseconds(10))
    }
}

@Suite(.timeLimit(.minutes(1))) struct AlarmTests {
    @Test func `An alarm wakes a thread that waits, and one that waits later`() async {
        let alarm = Alarm()
        await BlockingThread.once {
            alarm.set(after: .milliseconds(10))
            alarm.wait()
            alarm.set(after: .zero)
            alarm.wait()
        }
    }

    @Test func `Only the last time counts`() async {
        let alarm = Alarm()
        let took = await BlockingThread.once {
            alarm.set(after: .zero)
            alarm.set(after: .seconds(3600))
            return ContinuousClock().measure { alarm.wait(atMost: .milliseconds(1500)) }
        }
        #expect(took >= .milliseconds(1400))
        alarm.set(after: .zero)
        await BlockingThread.once { alarm.wait() }
    }
}
