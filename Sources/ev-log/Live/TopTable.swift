import JSON
import Queue
import Stage
import System

/// Draws the state of the pipeline as tables.
struct TopTable {
    let usesColors: Bool

    private struct Column {
        let title: String
        let isNumber: Bool

        init(_ title: String, isNumber: Bool = true) { (self.title, self.isNumber) = (title, isNumber) }
    }

    private static let stageColumns = [
        Column("HOST", isNumber: false), Column("STAGE", isNumber: false), Column("PID"), Column("IN/S"),
        Column("OUT/S"),
        Column("ERR/S"), Column("P50"), Column("P99"), Column("WORK"), Column("MEMORY"), Column("BEAT"),
        Column("STATE", isNumber: false),
    ]
    private static let queueColumns = [
        Column("QUEUE", isNumber: false), Column("EVENTS"), Column("NEW"), Column("WORK"), Column("RETRY"),
        Column("HELD"),
        Column("DEAD"), Column("OLDEST"), Column("STATE", isNumber: false),
    ]

    /// Returns the lines of both tables.
    func lines(_ state: PipelineState) -> [String] {
        var lines = table(TopTable.stageColumns, state.stages.map(row))
        for (index, stage) in state.stages.enumerated() where stage.isGone || stage.summary != "ok" {
            lines[index + 1] = colored(lines[index + 1], stage.isGone ? 31 : 33)
        }
        if state.stages.isEmpty { lines.append("no stage has a heartbeat in this Redis") }
        for stage in state.stages {
            guard let error = stage.heartbeat?.lastError else { continue }
            lines.append("last error of \(stage.tool) \(stage.processID) at \(error.time): \(error.message)".printable)
        }
        guard !state.queues.isEmpty else { return lines }
        return lines + [""] + table(TopTable.queueColumns, state.queues.map(row))
    }

    private func row(_ stage: StageState) -> [String] {
        guard let beat = stage.heartbeat else {
            let none = [String](repeating: "-", count: 7)
            return [stage.host, stage.tool, stage.processID] + none + [TopTable.seconds(stage.age), stage.summary]
        }
        return [
            stage.host, stage.tool, stage.processID, TopTable.rate(beat.rates.taken), TopTable.rate(beat.rates.written),
            TopTable.rate(beat.rates.failed), TopTable.latency(beat.p50Milliseconds),
            TopTable.latency(beat.p99Milliseconds),
            "\(beat.inFlight)", ByteCount.text(beat.memoryBytes), TopTable.seconds(stage.age), stage.summary,
        ]
    }

    private func row(_ queue: QueueState) -> [String] {
        func sum(_ count: (Int, Int, Int, Int)) -> [String] {
            ["\(count.0)", "\(count.1)", "\(count.2)", "\(count.3)"]
        }
        let groups = queue.stats.groups
        let counts = groups.reduce((0, 0, 0, 0)) {
            ($0.0 + $1.new, $0.1 + $1.working, $0.2 + $1.retrying, $0.3 + $1.held)
        }
        let waits = groups.compactMap { group in group.awaitedService.map { "\(group.name) waits for \($0)" } }
        let state = groups.isEmpty ? "no group" : waits.isEmpty ? "ok" : waits.joined(separator: "; ")
        return [queue.name, "\(queue.stats.events)"] + sum(counts)
            + ["\(queue.stats.dead)", queue.oldestSeconds.map { Duration.seconds($0).spanText } ?? "-", state]
    }

    private func table(_ columns: [Column], _ rows: [[String]]) -> [String] {
        let cells = rows.map { $0.map(\.printable) }
        let widths = columns.indices.map { index in
            cells.reduce(columns[index].title.count) { max($0, $1[index].count) }
        }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (index, cell) in cells.enumerated() {
                let pad = String(repeating: " ", count: max(0, widths[index] - cell.count))
                text += (index > 0 ? "  " : "") + (columns[index].isNumber ? pad + cell : cell + pad)
            }
            return String(text.reversed().drop { $0 == " " }.reversed())
        }
        return [bold(line(columns.map(\.title)))] + cells.map(line)
    }

    private func bold(_ text: String) -> String { usesColors ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
    private func colored(_ text: String, _ color: Int) -> String {
        usesColors ? "\u{1B}[\(color)m\(text)\u{1B}[0m" : text
    }

    static func rate(_ number: Double) -> String {
        guard number.isFinite, number < 1e15 else { return "-" }
        return number >= 100 || number == 0 ? "\(Int64(number.rounded()))" : "\((number * 10).rounded() / 10)"
    }

    static func latency(_ milliseconds: Double?) -> String {
        guard let milliseconds, milliseconds < 1e12 else { return "-" }
        return SpanTime.text(nanoseconds: Int64(milliseconds * 1e6))
    }

    private static func seconds(_ span: Duration) -> String { "\(span.milliseconds / 1000)s" }
}
