import Stage

/// Emits updates, and saves the listener's position together with them.
struct ListenOutput {
    let runtime: Runtime
    let output: EventOutput
    let progress: any ProgressStore
    /// Is true if the output is a regular file, whose last lines a new listener compares with its position.
    var isCompared = false

    /// The positions that are saved for a batch, as text.
    struct Positions: Sendable {
        /// Names the updates of the batch as about to be emitted; only for several updates, and if `namesBatches`.
        var before: (text: String, revision: Int64)?
        /// The position after the whole batch.
        var after: String
    }

    /// Is true if the position must name the updates of a batch before they are emitted, because what was emitted cannot be looked up.
    var namesBatches: Bool { output.sink == nil && !isCompared }

    /// The most updates of one batch.
    var mostUpdates: Int {
        guard let sink = output.sink else { return ListenOutput.mostTogether }
        // If the position is not saved in the step that fills the queue, a kill between both repeats the batch.
        return progress.redisKey == nil ? 1 : min(ListenOutput.mostTogether, sink.mostTogether)
    }

    /// A step of Redis, or a write to a file, with so many updates takes no more than a few milliseconds.
    private static let mostTogether = 256
    /// The size from which a batch is emitted. The lines before the last one are below it.
    static let mostBytes = 128 << 10

    /// Emits updates, then saves the position after them.
    ///
    /// A kill at any moment loses no update that Telegram sends again, and repeats at most one, unless a listener on another machine takes
    /// over from a pipe's, which knows only the position before the batch:
    /// - If the output is a queue and the position is in the same Redis, both are one step.
    /// - A regular file is written at once. A new listener finds there what the position lacks.
    /// - For other outputs, the position first names the updates of the batch, and the file of the position then counts those that were
    ///   emitted, one by one.
    func emit(_ batch: UpdateBatch, _ positions: Positions) async throws {
        do {
            try await keep(batch.lines, positions)
        } catch {
            batch.end(error)
            throw error
        }
        batch.end(runtime.log)
    }

    private func keep(_ lines: [[UInt8]], _ positions: Positions) async throws {
        let (progress, after) = (progress, positions.after)
        if let key = progress.redisKey, try await output.publish(lines, settingKey: key, to: after) { return }
        if let before = positions.before {
            // The count of an earlier position with the same revision, which somebody has removed, must not be taken for this one's.
            try progress.note(emitted: 0, of: before.revision)
            try progress.note(before.text)
            try await output.write(lines) { written in
                if written < lines.count {
                    try progress.note(emitted: written, of: before.revision)
                } else {
                    try progress.note(after)
                }
            }
        } else {
            try await output.write([Array(lines.joined())]) { _ in try progress.note(after) }
        }
        try await progress.save(after)
    }

    /// Saves a position that has advanced without an emitted update.
    func settle(_ text: String) async throws {
        try progress.note(text)
        try await progress.save(text)
    }
}
