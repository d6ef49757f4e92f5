import Glibc
import JSON
import Logging
import LogStore
import Process
import Stage
import System

/// Reads lines from where they come, and stores them.
protocol LineIntake {
    /// - Parameter finishing: commits in any case.
    /// - Returns: true if something was read, or may still come before the end.
    func pass(finishing: Bool) throws -> Bool
}

extension FolderIntake: LineIntake {}

/// Selects entries of systemd's journal.
struct JournalSelection: Sendable {
    /// The file or folder of the journal; nil for that of this machine.
    var place: String?
    /// Patterns of the units whose entries are all stored; `*` and `?` stand for any characters.
    var units: [String] = []

    /// The name under which the store keeps how far the journal was read.
    var name: String { place.map { "journal:\(absolutePath($0))" } ?? "journal" }

    /// Returns whether an entry is stored even if it is no line of tgpipe: what a tool's crash wrote is worth keeping, too.
    func wants(_ entry: JournalEntry) -> Bool {
        if entry.executable?.hasSuffix("/tgpipe") == true { return true }
        guard !units.isEmpty, let unit = entry.unit else { return false }
        return units.contains { fnmatch($0, unit, 0) == 0 || fnmatch("\($0).service", unit, 0) == 0 }
    }
}

/// Stores what journalctl prints. When journalctl ends, it is started again at the last stored entry.
///
/// Only one thread may use it, which is also the one with which journalctl ends.
final class JournalReader: LineIntake {
    private struct Running {
        let child: ChildProcess
        let lines: LineReader
        let errors: Int32
        /// The beginning of what journalctl wrote to its standard error.
        var message: [UInt8] = []
    }

    private static let longestMessage = 1000

    private let intake: JournalIntake
    private let selection: JournalSelection
    private let runtime: Runtime
    private let keep: Duration
    private let once: Bool
    private var running: Running?
    private var hasEnded = false
    private var nextStart = ContinuousClock.now
    private var backoff = Backoff(first: .seconds(1), longest: .seconds(60), jitter: .half)
    private var lastMessage = ""

    /// - Parameters:
    ///   - keep: older entries are not read, if the journal was never read before.
    ///   - once: ends at the end of the journal.
    init(_ writer: LogWriter, _ selection: JournalSelection, _ runtime: Runtime, keep: Duration, once: Bool) {
        (self.selection, self.runtime, self.keep, self.once) = (selection, runtime, keep, once)
        intake = JournalIntake(selection.name, writer, isWanted: selection.wants)
    }

    deinit { stop() }

    func pass(finishing: Bool) throws -> Bool {
        do {
            guard !hasEnded, !runtime.shutdown.isRequested else {
                stop()
                try intake.commit()
                return false
            }
            guard try running != nil || start() else { return false }
            let outputs = try running?.lines.next(within: .milliseconds(50))
            readErrors()
            guard let outputs else {
                if !runtime.shutdown.isRequested { try end() }
                return once && !hasEnded
            }
            for output in outputs { try take(output) }
            if !outputs.isEmpty { backoff.reset() }
            try intake.commitIfDue()
            return once || !outputs.isEmpty
        } catch {
            // What was read and not committed is read again.
            stop()
            intake.rollBack()
            throw error
        }
    }

    private func take(_ output: LineSplitter.Output) throws {
        switch output {
        case .lines(let block):
            for line in block.lines {
                try line.withBytes { bytes in try Result { try intake.take(bytes) }.get() }
            }
        case .tooLong(let prefix, _): try intake.takeTooLong(prefix)
        }
    }

    // MARK: journalctl

    /// - Returns: false while it is too early for another start.
    private func start() throws -> Bool {
        guard nextStart <= .now else { return false }
        // Without --all, journalctl leaves out what is longer than 4 kB.
        var arguments = [
            "--output=json", "--all", "--no-pager", "--output-fields=\(JournalEntry.fieldNames.joined(separator: ","))",
        ]
        if let place = selection.place {
            var info = stat()
            let isFolder = stat(place, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
            arguments.append(isFolder ? "--directory=\(place)" : "--file=\(place)")
        }
        if let cursor = intake.cursor {
            // Not --after-cursor: if journald has removed the entry, that would skip the one after it.
            arguments.append("--cursor=\(cursor)")
        } else {
            let seconds = SystemClocks.realtimeNanoseconds / 1_000_000_000 - keep.milliseconds / 1000
            arguments.append("--since=@\(max(0, seconds))")
        }
        if !once { arguments += ["--follow", "--no-tail"] }
        let child: ChildProcess
        do throws(ChildProcess.Failure) {
            child = try ChildProcess(
                Command("journalctl", arguments), input: .null, output: .pipe(), errors: .pipe(),
                lifetime: .endsWithParent)
        } catch {
            guard error.step == .findProgram else {
                throw ToolError(.localIO, "unable to start journalctl: \(error)")
            }
            throw ToolError(.configuration, "journalctl is missing: --from journal needs systemd")
        }
        running = Running(
            child: child,
            lines: LineReader(
                descriptor: child.takeOutput(), name: "the output of journalctl",
                maxLineBytes: JournalIntake.longestEntry, shutdown: runtime.shutdown),
            errors: child.takeErrors())
        return true
    }

    /// Reads what journalctl complains about, so that it never waits for that.
    private func readErrors() {
        guard let errors = running?.errors else { return }
        while true {
            let part = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                count = max(0, read(errors, buffer.baseAddress, buffer.count))
            }
            guard !part.isEmpty else { break }
            let room = JournalReader.longestMessage - (running?.message.count ?? 0)
            running?.message += part.prefix(max(0, room))
        }
        // For example that this user may not read the whole journal.
        guard !message.isEmpty, message != lastMessage else { return }
        lastMessage = message
        runtime.log.notice("journalctl says: \(message)")
    }

    private var message: String {
        String(decoding: running?.message ?? [], as: UTF8.self).split(separator: "\n").joined(separator: "; ").printable
    }

    /// Commits what journalctl has printed before its end, and decides what its end means.
    private func end() throws {
        guard let child = running?.child else { return }
        let ending = child.wait(atMost: .seconds(5))
        readErrors()
        let message = message
        stop()
        try intake.commit()
        if once {
            guard ending == .exited(0) else {
                let reason = message.isEmpty ? ending?.description ?? "it does not end" : message
                throw ToolError(.unavailable, "journalctl failed: \(reason)")
            }
            hasEnded = true
        } else {
            let pause = backoff.next()
            runtime.log.warning(
                "journalctl has ended (\(ending?.description ?? "it closed its output")); starting it again in \(pause.spanText)"
            )
            nextStart = .now + pause
        }
    }

    private func stop() {
        guard let running else { return }
        _ = running.child.terminate(grace: .seconds(2))
        close(running.errors)
        self.running = nil
    }
}
