import Glibc
import Synchronization
import System

/// Keeps some lines at the bottom of a terminal, below the lines of the log, that tell how far the work is.
///
/// Tools that are connected by pipes share a terminal. They agree in a file about the lines that are there, so that none
/// overwrites another's. Nothing is written if the descriptor is no terminal, or `NO_COLOR` is set.
package final class StatusArea: Sendable {
    package static let standardError = StatusArea(descriptor: STDERR_FILENO)

    /// The lines that are shown at most; the others are counted.
    private static let mostLines = 8
    private static let pause = Duration.milliseconds(100)

    private struct State {
        var lines: [(key: Int, text: String)] = []
        var lastKey = 0
        var lastDraw: ContinuousClock.Instant?
        /// Is true if lines of this process are on the terminal.
        var isShown = false
        /// The number of lines on the terminal, if it is not shared.
        var drawn = 0
        /// The file by which processes agree about the terminal; nil if it is not shared.
        var sharedPath: String?
        /// Is true if no lines are wanted.
        var isHidden = false
    }

    private let descriptor: Int32
    /// Is true if lines are shown.
    package let isTerminal: Bool
    private let process: pid_t
    private let state = Mutex(State())

    package convenience init(descriptor: Int32) {
        let isTerminal =
            isatty(descriptor) == 1 && Settings.environment("NO_COLOR") == nil
            && Settings.environment("TERM") != "dumb"
        self.init(descriptor: descriptor, isTerminal: isTerminal, process: getpid())
    }

    init(descriptor: Int32, isTerminal: Bool, process: pid_t) {
        (self.descriptor, self.isTerminal, self.process) = (descriptor, isTerminal, process)
    }

    /// Shares the terminal with other processes of this user.
    ///
    /// - Parameter folder: returns the folder of a file about the terminal.
    package func share(in folder: () throws -> String) {
        guard isTerminal else { return }
        var name = [CChar](repeating: 0, count: 256)
        guard ttyname_r(descriptor, &name, name.count - 1) == 0, let folder = try? folder() else { return }
        let terminal = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let path = "\(folder)/\(terminal.split(separator: "/").joined(separator: "-"))"
        state.withLock { $0.sharedPath = path }
    }

    /// Shows no lines from now on; lines of the log are still written.
    package func hide() { state.withLock { $0.isHidden = true } }

    // MARK: Lines

    /// Returns the key of a new line.
    package func makeKey() -> Int {
        state.withLock { state in
            state.lastKey += 1
            return state.lastKey
        }
    }

    /// Shows a line in place of the one with the same key, at most ten times a second.
    ///
    /// - Parameter isUrgent: whether the line is drawn at once.
    package func show(_ text: String, key: Int, isUrgent: Bool = false) {
        guard isTerminal else { return }
        state.withLock { state in
            guard !state.isHidden else { return }
            if let index = state.lines.firstIndex(where: { $0.key == key }) {
                state.lines[index].text = text
            } else {
                state.lines.append((key, text))
            }
            let now = ContinuousClock.now
            if !isUrgent, let last = state.lastDraw, now - last < StatusArea.pause { return }
            state.lastDraw = now
            draw(&state)
        }
    }

    package func clear(key: Int) {
        guard isTerminal else { return }
        state.withLock { state in
            guard let index = state.lines.firstIndex(where: { $0.key == key }) else { return }
            state.lines.remove(at: index)
            draw(&state)
        }
    }

    /// Removes all lines.
    package func clear() {
        guard isTerminal else { return }
        state.withLock { state in
            guard !state.lines.isEmpty || state.isShown else { return }
            state.lines = []
            draw(&state)
        }
    }

    /// Writes whole lines above the area, each with its line feed, with a single system call.
    package func write(_ lines: [UInt8]) {
        guard isTerminal else { return put(lines) }
        state.withLock { draw(&$0, above: lines) }
    }

    // MARK: Drawing

    private func draw(_ state: inout State, above log: [UInt8] = []) {
        let own = StatusArea.shown(state.lines.map(\.text))
        guard let path = state.sharedPath, let board = Board(path: path) else {
            put(StatusArea.drawing(over: state.drawn, log, own))
            (state.drawn, state.isShown) = (own.count, !own.isEmpty)
            return
        }
        var content = board.content
        let others = content.entries.filter { $0.process != process && kill($0.process, 0) == 0 }
        // Lines of processes that were killed have scrolled away.
        let drawn = state.isShown || !others.isEmpty ? content.drawn : 0
        content.entries = others + (own.isEmpty ? [] : [Board.Entry(process: process, lines: own)])
        let lines = content.entries.flatMap(\.lines)
        if drawn > 0 || !lines.isEmpty || !log.isEmpty { put(StatusArea.drawing(over: drawn, log, lines)) }
        content.drawn = lines.count
        board.save(content)
        state.isShown = !own.isEmpty
    }

    /// Returns the lines that there is room for.
    static func shown(_ lines: [String]) -> [String] {
        guard lines.count > mostLines else { return lines }
        return lines.prefix(mostLines - 1) + ["and \(lines.count - mostLines + 1) more"]
    }

    /// Returns what replaces the lines of an area, of which the last has the cursor at its end.
    static func drawing(over drawn: Int, _ log: [UInt8], _ lines: [String]) -> [UInt8] {
        var output = ""
        if drawn > 0 { output = "\r\u{1B}[K" + String(repeating: "\u{1B}[1A\u{1B}[K", count: drawn - 1) }
        return Array(output.utf8) + log + Array(lines.map { "\($0)\u{1B}[K" }.joined(separator: "\n").utf8)
    }

    private func put(_ bytes: [UInt8]) {
        // A line that cannot be written cannot be reported either.
        bytes.withUnsafeBytes { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }
}

/// The file in which processes agree about a terminal's lines; it is locked as long as this exists.
private final class Board {
    struct Entry {
        var process: pid_t
        var lines: [String]
    }

    struct Content {
        /// The number of lines at the bottom of the terminal.
        var drawn = 0
        var entries: [Entry] = []
    }

    private static let mostBytes = 1 << 16

    private let descriptor: Int32
    let content: Content

    /// Returns nil if the file cannot be used.
    init?(path: String) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return nil }
        guard flock(descriptor, LOCK_EX) == 0 else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        content = Board.parse(readAll(descriptor, atMost: Board.mostBytes) ?? [])
    }

    deinit { close(descriptor) }

    /// The first line has the number of lines on the terminal, each other one a process and its line.
    private static func parse(_ bytes: [UInt8]) -> Content {
        var content = Content()
        for (index, line) in String(decoding: bytes, as: UTF8.self).split(separator: "\n").enumerated() {
            guard index > 0 else {
                content.drawn = min(max(Int(line) ?? 0, 0), 100)
                continue
            }
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2, let process = pid_t(words[0]), process > 0 else { continue }
            if content.entries.last?.process == process {
                content.entries[content.entries.count - 1].lines.append(String(words[1]))
            } else {
                content.entries.append(Entry(process: process, lines: [String(words[1])]))
            }
        }
        return content
    }

    func save(_ content: Content) {
        let text =
            "\(content.drawn)\n"
            + content.entries.flatMap { entry in entry.lines.map { "\(entry.process) \($0)\n" } }.joined()
        lseek(descriptor, 0, SEEK_SET)
        var bytes = Array(text.utf8)
        bytes.withUnsafeMutableBytes { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
        ftruncate(descriptor, bytes.count)
    }
}
