import Foundation
import TestSupport
import Testing

/// Reads the units of the package: each stage must get events from another one.
@Suite struct UnitFileTests {
    private let folder = "\(testFolder)/../packaging/systemd"

    private func text(_ name: String) throws -> String {
        try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasSuffix(".d") }
    }

    /// Returns what stands behind a mark in a text, up to the next character that no name has.
    private func values(_ mark: String, in text: String) -> Set<String> {
        Set(
            text.components(separatedBy: mark).dropFirst().map { rest in
                String(rest.prefix { $0.isLetter || $0.isNumber || "%.@-_".contains($0) })
            })
    }

    @Test func `Each queue that a unit reads is written by another one, and the other way round`() throws {
        var (read, written): (Set<String>, Set<String>) = ([], [])
        for name in try names() where name.hasSuffix(".service") {
            let text = try text(name)
            read.formUnion(values("--from queue:", in: text))
            written.formUnion(values("--to queue:", in: text))
            written.formUnion(values("=queue:", in: text))
        }
        #expect(read.count > 6 && read == written)
    }

    @Test func `Each pipe has one reader, and a unit that writes into it`() throws {
        var (read, written): (Set<String>, Set<String>) = ([], [])
        for name in try names() {
            let text = try text(name)
            if name.hasSuffix(".socket") {
                let pipes = values("ListenFIFO=/run/tgpipe/", in: text)
                #expect(pipes.count == 1 && name == "tgpipe-pipe-\(pipes.first?.dropLast(5) ?? "").socket")
                read.formUnion(pipes)
                let service = try self.text(name.replacingOccurrences(of: ".socket", with: ".service"))
                #expect(service.contains("StandardInput=fd:\(name)\n"))
            } else if name.hasPrefix("tgpipe-pipe-") {
                written.formUnion(values("/run/tgpipe/", in: text))
            }
        }
        #expect(read.count > 6 && read == written)
    }

    @Test func `Workers that are started on request start again with their target, and are described`() throws {
        let page = try String(contentsOfFile: "\(testFolder)/../docs/systemd.md", encoding: .utf8)
        let workers = try names().filter { $0.hasSuffix("@.service") }
        #expect(workers.count > 4)
        for name in workers {
            let text = try text(name)
            #expect(text.contains("[Install]\nWantedBy=tgpipe.target\n"), "\(name)")
            #expect(page.contains("`\(name.dropLast("@.service".count))@"), "docs/systemd.md lacks \(name)")
        }
    }

    @Test func `The files of a machine stay in its own queues until they are sent`() throws {
        for (name, queues) in [
            ("put-parts@", ["fetched.%H", "stored.%H"]), ("split@", ["stored.%H", "send.%H"]),
            ("send-parts@", ["send.%H"]), ("put", ["fetched.%H", "send"]),
        ] {
            let text = try text("tgpipe-\(name).service")
            #expect(values("queue:", in: text) == Set(queues), "\(name)")
        }
        // Both read the files that were fetched; only one of them may run.
        #expect(try text("tgpipe-put-parts@.service").contains("Conflicts=tgpipe-put.service"))
    }

    @Test(arguments: ["tgpipe.target", "tgpipe-pipes.target"])
    func `A target starts all stages of its form, and they are described`(_ target: String) throws {
        let wanted = try text(target)
        let page = try String(contentsOfFile: "\(testFolder)/../docs/systemd.md", encoding: .utf8)
        for name in try names() where name.hasSuffix(".service") {
            let text = try text(name)
            guard text.contains("PartOf=\(target)"), !name.contains("@.") else { continue }
            // The start of a pipe's reader is the first event in it.
            let started =
                name.hasPrefix("tgpipe-pipe-") ? name.replacingOccurrences(of: ".service", with: ".socket") : name
            #expect(wanted.contains(started) || wanted.contains(name), "\(target) does not start \(name)")
            let unit = name.replacingOccurrences(of: ".service", with: "")
            #expect(unit.hasPrefix("tgpipe-pipe-") || page.contains("`\(unit)`"), "docs/systemd.md lacks \(unit)")
        }
    }

    @Test func `The exposure of each service is at most 2.0 of 10`() throws {
        let root = try TemporaryFolder()
        let units = root("usr/lib/systemd")
        try FileManager.default.createDirectory(atPath: units, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: folder, toPath: "\(units)/system")
        func isConfined(_ unit: String, threshold: Int) throws -> Bool {
            let words = ["systemd-analyze", "--root=\(root.path)", "security", "--offline=yes", "--no-pager"]
            return try SpawnedProgram(words + ["--threshold=\(threshold)", unit]).wait() == 0
        }
        let services = try names().filter { $0.hasSuffix(".service") }
        #expect(services.count > 20)
        for name in services {
            let unit = name.replacingOccurrences(of: "@.", with: "@1.")
            #expect(try isConfined(unit, threshold: 20), "\(unit)")
        }
        #expect(try !isConfined("tgpipe-gate.service", threshold: 10))
    }
}
