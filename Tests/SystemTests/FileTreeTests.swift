import Glibc
import System
import TestSupport
import Testing

@Suite("A folder that a hostile program has filled")
struct FileTreeTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ text: String, to descriptor: Int32, _ name: [CChar]) throws {
        let file = openat(descriptor, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        #expect(
            text.utf8CString.withUnsafeBytes { writeAll(file, UnsafeRawBufferPointer(rebasing: $0.dropLast())) } == 0)
        close(file)
    }

    /// Makes a chain of folders that is longer than any path may be, with a file in the last one.
    private func makeChain(_ path: String, length: Int) throws {
        try #require(mkdir(path, 0o700) == 0)
        var current = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let name = String(repeating: "d", count: 100)
        for _ in 0..<length {
            try #require(mkdirat(current, name, 0o700) == 0)
            let next = openat(current, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            close(current)
            current = next
        }
        try write("deep", to: current, [120, 0])
        close(current)
    }

    @Test func `Whatever it holds is removed, and what its links name stays`() throws {
        try makeChain(folder("job"), length: 200)
        let job = open(folder("job"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(job) }
        // Names that are no text, a folder that its owner cannot open, a pipe, and links out of the folder.
        try write("x", to: job, [-1, -2, 0])
        #expect(mkdirat(job, "closed", 0o700) == 0)
        let closed = openat(job, "closed", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try write("x", to: closed, [-61, 0])
        #expect(fchmod(closed, 0) == 0)
        close(closed)
        #expect(mkfifoat(job, "pipe", 0o600) == 0)
        #expect(mkdir(folder("kept"), 0o700) == 0)
        try write("kept", to: AT_FDCWD, folder("kept/file").utf8CString.map { $0 })
        #expect(symlinkat(folder("kept"), job, "link") == 0)
        #expect(symlinkat("/nowhere", job, "broken") == 0)
        removeTree(folder("job"))
        #expect(folderEntries(folder.path) == ["kept"])
        #expect(folderEntries(folder("kept")) == ["file"])
        removeTree(folder("kept/file"))
        #expect(folderEntries(folder("kept")) == [])
    }

    @Test func `Its size counts every file, whatever its name is`() throws {
        #expect(mkdir(folder("job"), 0o700) == 0)
        let job = open(folder("job"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(job) }
        try write("12345", to: job, [-1, 0])
        #expect(mkdirat(job, "inner", 0o700) == 0)
        try write("678", to: job, "inner/file".utf8CString.map { $0 })
        #expect(symlinkat("12", job, "link") == 0)
        let use = FolderUse(of: folder("job"))
        #expect(use.bytes == 10)
        #expect(use.entries == 4)
        #expect(FolderUse(of: folder("missing")).bytes == 0)
    }

    @Test func `Folders that are nested too deeply count as more than any limit`() throws {
        try makeChain(folder("job"), length: 50)
        #expect(FolderUse(of: folder("job")).bytes == .max)
        removeTree(folder("job"))
        #expect(folderEntries(folder.path) == [])
    }
}
