import JSON
import Stage
import Synchronization
import System

/// Reads the selected events of a recording for tasks.
final class SelectedEvents: Sendable {
    struct Batch: Sendable {
        var events: [RecordedEvent] = []
        var refused: [RefusedLine] = []
    }

    private struct State: ~Copyable {
        let recording: Recording
        /// The time of the recording's first event.
        var start: Timestamp?
    }

    private let state: Mutex<State>
    private let selection: Selection
    private let thread = BlockingThread()

    init(_ recording: sending Recording, _ selection: Selection) {
        state = Mutex(State(recording: recording))
        self.selection = selection
    }

    /// Returns the next events; nil at the end. A batch may be empty.
    func next() async throws -> Batch? {
        try await thread.run { try self.read() }
    }

    /// The number of lines that the file of times does not know.
    var linesWithoutTime: Int { state.withLock { $0.recording.linesWithoutTime } }

    private func read() throws -> Batch? {
        try state.withLock { state in
            guard let items = try state.recording.next() else { return nil }
            var batch = Batch()
            for item in items {
                switch item {
                case .refused(let line): batch.refused.append(line)
                case .event(let event):
                    if state.start == nil { state.start = event.time }
                    if selection.includes(event, start: state.start) { batch.events.append(event) }
                }
            }
            return batch
        }
    }
}
