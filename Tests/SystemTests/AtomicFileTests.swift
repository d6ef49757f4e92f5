import Glibc
import System
import TestSupport
import Testing

@Suite("An atomic file")
struct AtomicFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func text(_ name: String) -> String? {
        guard let file = fopen(folder(name), "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    private func mode(_ name: String) -> mode_t {
        var status = stat()
        return stat(folder(name), &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test(arguments: [AtomicFile.Durability.process, .power]) func `A file is replaced as a whole`(
        _ durability: AtomicFile.Durability
    ) throws {
        try AtomicFile.replace(folder("state"), with: Array("a long first text".utf8), durability: durability)
        try AtomicFile.replace(folder("state"), with: Array("second".utf8), durability: durability)
        #expect(text("state") == "second")
        #expect(mode("state") == 0o600)
        #expect(folderEntries(folder.path) == ["state"])
    }

    @Test func `A file that a killed process left does not get in the way`() throws {
        try AtomicFile.replace(folder("state.new"), with: Array("left by a killed process".utf8), durability: .process)
        try AtomicFile.replace(folder("state"), with: Array("new".utf8), durability: .process)
        #expect(text("state") == "new")
        #expect(folderEntries(folder.path) == ["state"])
    }

    @Test func `A file that fails leaves the old one and no temporary file`() throws {
        #expect(throws: SystemError(ENOENT)) {
            try AtomicFile.replace(folder("no-folder/state"), with: [], durability: .power)
        }
        // A folder of this name cannot be replaced by a file.
        mkdir(folder("state"), 0o700)
        #expect(throws: SystemError(EISDIR)) {
            try AtomicFile.replace(folder("state"), with: Array("new".utf8), durability: .power)
        }
        #expect(folderEntries(folder.path) == ["state"])
        // So is a link: it could lead anywhere.
        symlink(folder("elsewhere"), folder("other.new"))
        #expect(throws: SystemError(ELOOP)) {
            try AtomicFile.replace(folder("other"), with: Array("new".utf8), durability: .power)
        }
        #expect(text("elsewhere") == nil)
        // A pipe would take some bytes, and then wait for a reader.
        mkfifo(folder("pipe.new"), 0o600)
        #expect(throws: SystemError(EEXIST)) {
            try AtomicFile.replace(folder("pipe"), with: Array(repeating: 7, count: 1 << 20), durability: .process)
        }
    }

    @Test func `A file that is not published is removed`() throws {
        var file: AtomicFile? = try AtomicFile(at: folder("temporary"))
        try file?.write(Array("text".utf8))
        #expect(text("temporary") == "text")
        file = nil
        #expect(folderEntries(folder.path) == [])
    }

    @Test func `A new file does not replace one that exists`() throws {
        let first = try AtomicFile(at: folder("1"))
        try first.write(Array("first".utf8))
        try first.publish(as: folder("name"), isNew: true)
        var second: AtomicFile? = try AtomicFile(at: folder("2"))
        #expect(throws: SystemError(EEXIST)) { try second?.publish(as: folder("name"), isNew: true) }
        second = nil
        #expect(text("name") == "first")
        #expect(folderEntries(folder.path) == ["name"])
    }

    @Test func `A temporary name is used by one file at a time`() throws {
        let file = try AtomicFile(at: folder("temporary"))
        #expect(throws: SystemError(EEXIST)) { try AtomicFile(at: folder("temporary")) }
        #expect(file.temporaryPath == folder("temporary"))
        #expect(folderEntries(folder.path) == ["temporary"])
    }

    @Test func `An open file gets a further name without a copy`() throws {
        try AtomicFile.replace(folder("source"), with: Array("text".utf8), durability: .process)
        let descriptor = open(folder("source"), O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        let link = try #require(AtomicFile(linkingTo: descriptor, at: folder("temporary")))
        try link.publish(as: folder("target"))
        var (source, target) = (stat(), stat())
        #expect(stat(folder("source"), &source) == 0 && stat(folder("target"), &target) == 0)
        #expect(source.st_ino == target.st_ino)
        #expect(AtomicFile(linkingTo: descriptor, at: folder("no-folder/x")) == nil)
    }
}

@Suite("Paths")
struct PathTests {
    @Test func `A relative path becomes absolute and an absolute one stays`() throws {
        let here = try #require(getcwd(nil, 0))
        defer { free(here) }
        #expect(absolutePath("a/b") == "\(String(cString: here))/a/b")
        #expect(absolutePath("/a/b") == "/a/b")
    }

    @Test(arguments: [("/a/b", "/a", "b"), ("/a", "/", "a"), ("a", ".", "a"), ("a/b/", "a/b", "b"), ("/", "/", "/")])
    func `A path has a folder and a last component`(_ path: String, _ folder: String, _ last: String) {
        #expect(parentFolder(path) == folder)
        #expect(lastPathComponent(path) == last)
    }
}
