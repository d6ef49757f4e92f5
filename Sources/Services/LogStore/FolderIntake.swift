import Glibc
import JSON
import SQLite
import System

/// Stores what processes append to their files in a folder, and removes the files of processes that have ended.
///
/// One thread at a time may use it.
package final class FolderIntake {
    private struct Source {
        let descriptor: Int32
        let tool: String
        /// How far the file has been read, which may be further than what is committed.
        var state: SourceState
    }

    /// The most lines and the longest time between two commits.
    static let mostLines = 1000
    static let longestWait = Duration.milliseconds(250)
    /// The longest line that is stored as it is.
    package static let longestLine = 1 << 20
    /// How much is read at once, unless a line is longer: about what is committed together.
    private static let usualRead = 256 << 10

    private let folder: String
    private let writer: LogWriter
    private var open: [String: Source] = [:]
    private var changed: Set<String> = []
    private var lastCommit = ContinuousClock.now
    private let memory = UnsafeMutableRawBufferPointer.allocate(
        byteCount: FolderIntake.longestLine + 1 + JSONParser.paddingBytes, alignment: 64)

    /// - Parameter folder: what the variable `TGPIPE_LOG_DIR` of the processes names; it need not exist.
    package init(_ folder: String, _ writer: LogWriter) { (self.folder, self.writer) = (folder, writer) }

    deinit {
        for source in open.values { close(source.descriptor) }
        memory.deallocate()
    }

    /// Reads what there is, commits it if it is time to, and removes files that are done.
    ///
    /// - Parameter finishing: commits in any case, and reads until nothing is left.
    /// - Returns: true if something was read.
    /// - Throws: after a failure, nothing is lost: the next call reads again what was not committed.
    package func pass(finishing: Bool = false) throws -> Bool {
        do {
            try lookForFiles()
            var hasRead = false
            var idle: [String] = []
            for name in open.keys.sorted() {
                if try read(name) { hasRead = true } else { idle.append(name) }
            }
            if !changed.isEmpty, finishing || lastCommit.duration(to: .now) >= FolderIntake.longestWait { try commit() }
            for name in idle { if try finish(name) { hasRead = true } }
            return hasRead
        } catch {
            forgetUncommitted()
            throw error
        }
    }

    private func forgetUncommitted() {
        writer.rollBack()
        changed = []
        for name in open.keys { open[name]?.state = writer.sources[name] ?? SourceState() }
    }

    private func commit() throws {
        var states: [String: SourceState] = [:]
        for name in changed { states[name] = open[name]?.state }
        try writer.commit(states)
        changed = []
        lastCommit = .now
    }

    // MARK: Files

    private func lookForFiles() throws {
        let names = Set((folderEntries(folder) ?? []).filter { LogFileName($0) != nil })
        for name in names where open[name] == nil {
            guard let tool = LogFileName(name)?.tool, let descriptor = FolderIntake.open("\(folder)/\(name)") else {
                continue
            }
            open[name] = Source(descriptor: descriptor, tool: tool, state: writer.sources[name] ?? SourceState())
        }
        // A file was removed before this process was killed, or by someone else.
        for name in Set(writer.sources.keys).union(open.keys) where !names.contains(name) && !changed.contains(name) {
            if let source = open.removeValue(forKey: name) { close(source.descriptor) }
            if writer.sources[name] != nil, writer.pending == 0 { try writer.forget(name) }
        }
    }

    /// Opens a file that belongs to this user. Others may have put files, links and pipes there.
    private static func open(_ path: String) -> Int32? {
        let descriptor = Glibc.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_uid == geteuid() else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Removes a file whose process has ended once all of it is stored.
    ///
    /// - Returns: true if there was still something to read.
    private func finish(_ name: String) throws -> Bool {
        guard let source = open[name], flock(source.descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
        var info = stat()
        guard fstat(source.descriptor, &info) == 0 else { return false }
        let size = Int64(info.st_size)
        if source.state.offset < size {
            // The process was killed within its last line, or has written since this file was read.
            guard try !read(name, isEnded: true) else { return true }
        }
        // Within a transaction, what is brought to the disk cannot be chosen; lines of other files may be waiting, too.
        if writer.pending > 0 || !changed.isEmpty { try commit() }
        try writer.sync(name)
        unlink("\(folder)/\(name)")
        open[name] = nil
        close(source.descriptor)
        try writer.forget(name)
        return false
    }

    // MARK: Lines

    /// Reads lines that a file has beyond its offset.
    ///
    /// - Parameter isEnded: the last line may lack its line feed.
    /// - Returns: true if there was something to read.
    private func read(_ name: String, isEnded: Bool = false) throws -> Bool {
        guard var source = open[name], let base = memory.baseAddress else { return false }
        // What is read beyond a commit is read again after it, so only a long line is a reason to read much.
        var size = FolderIntake.usualRead
        var count = pread(source.descriptor, base, size, off_t(source.state.offset))
        if count == size, memchr(base, 0x0A, count) == nil {
            size = FolderIntake.longestLine + 1
            count = pread(source.descriptor, base, size, off_t(source.state.offset))
        }
        guard count > 0 else { return false }
        var start = 0
        while start < count {
            let rest = UnsafeRawBufferPointer(start: base + start, count: count - start)
            guard let end = memchr(base + start, 0x0A, rest.count).map({ $0 - UnsafeMutableRawPointer(base + start) })
            else {
                break
            }
            try take(UnsafeRawBufferPointer(rebasing: rest[..<end]), &source)
            start += end + 1
            if writer.pending >= FolderIntake.mostLines {
                try save(name, &source, start)
                try commit()
                return true
            }
        }
        let rest = UnsafeRawBufferPointer(start: base + start, count: count - start)
        if rest.count > FolderIntake.longestLine || (source.state.skips && !rest.isEmpty) {
            try skip(rest, &source)
            start = count
        } else if isEnded, !rest.isEmpty, count < size {
            try take(rest, &source)
            start = count
        }
        guard start > 0 else { return false }
        try save(name, &source, start)
        return true
    }

    private func save(_ name: String, _ source: inout Source, _ count: Int) throws {
        source.state.offset += Int64(count)
        open[name] = source
        changed.insert(name)
    }

    private func take(_ line: UnsafeRawBufferPointer, _ source: inout Source) throws {
        if source.state.skips {
            source.state.skips = false
        } else if line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) {
            try writer.add(line, tool: source.tool)
        }
    }

    /// Reports a line that is too long by its beginning, and skips the rest of it.
    private func skip(_ part: UnsafeRawBufferPointer, _ source: inout Source) throws {
        guard !source.state.skips else { return }
        try writer.addMalformed(part.prefix(1000), "it has more than 1 MiB", tool: source.tool)
        source.state.skips = true
    }
}

/// The name of the file to which a process appends its lines: `tool-pid-start-part.ndjson`.
package struct LogFileName: Sendable {
    package let tool: String
    package let process: Int32

    package init?(_ name: String) {
        guard name.hasSuffix(".ndjson"), !name.hasPrefix(".") else { return nil }
        let words = name.dropLast(7).split(separator: "-", omittingEmptySubsequences: false)
        guard words.count >= 4, let process = Int32(words[words.count - 3]), process > 0,
            words.suffix(3).allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber } })
        else { return nil }
        tool = words.dropLast(3).joined(separator: "-")
        self.process = process
        guard !tool.isEmpty else { return nil }
    }
}
