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

/// Reads `examples/three-hosts`: the package's units with those of the example beside them, as on each of its hosts.
@Suite struct ThreeHostsTests {
    private static let hosts = ["front", "media", "history"]
    private let example = "\(testFolder)/../examples/three-hosts"
    private let packaged = "\(testFolder)/../packaging/systemd"

    private func units(_ folder: String) throws -> [String: String] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasSuffix(".d") }
        return try Dictionary(
            uniqueKeysWithValues: names.map { ($0, try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8)) })
    }

    private func ownUnits(_ host: String) throws -> [String: String] {
        try units("\(example)/\(host)/etc/systemd/system")
    }

    /// Returns the changes of a host to packaged units, by the units' names.
    private func changes(_ folder: String) throws -> [String: String] {
        let folders = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".d") }
        return try Dictionary(
            uniqueKeysWithValues: folders.map { name in
                let texts = try units("\(folder)/\(name)").sorted { $0.key < $1.key }.map(\.value)
                return (String(name.dropLast(2)), texts.joined(separator: "\n"))
            })
    }

    /// Returns the units that the host's target starts.
    private func started(_ host: String) throws -> Set<String> {
        let target = try #require(try ownUnits(host)["tgpipe.target"])
        let lines = target.split(separator: "\n").filter { $0.hasPrefix("Wants=") }
        return Set(lines.flatMap { $0.dropFirst("Wants=".count).split(separator: " ").map(String.init) })
            .filter { $0.hasPrefix("tgpipe-") }
    }

    /// Returns a host's settings, by name.
    private func settings(_ host: String) throws -> [String: String] {
        let text = try String(contentsOfFile: "\(example)/\(host)/etc/tgpipe/tgpipe.env", encoding: .utf8)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
            $0.split(separator: "=", maxSplits: 1)
        }
        return Dictionary(uniqueKeysWithValues: lines.map { (String($0[0]), $0.count == 2 ? String($0[1]) : "") })
    }

    /// Returns a unit's text with its changes and the settings in place.
    private func complete(_ unit: String, _ change: String?, _ settings: [String: String]) -> String {
        var lines = unit.split(separator: "\n")
        // An empty command in a change removes the unit's own.
        if let change {
            if change.contains("ExecStart=\n") { lines.removeAll { $0.hasPrefix("ExecStart=") } }
            lines += change.split(separator: "\n")
        }
        return lines.map { line in
            line.split(separator: " ").flatMap { word in
                word.hasPrefix("$") ? settings[String(word.dropFirst()), default: ""].split(separator: " ") : [word]
            }.joined(separator: " ")
        }.joined(separator: "\n")
    }

    /// Returns what systemd says about the units of a host, in which the tools are those that were built.
    ///
    /// - Parameter change: changes the text of each unit.
    private func verdict(_ host: String, _ change: (String) -> String = { $0 }) throws -> (
        status: Int32, output: String
    ) {
        let folder = try TemporaryFolder()
        let (own, shipped) = (folder("own"), folder("shipped"))
        try FileManager.default.copyItem(atPath: "\(example)/\(host)/etc/systemd/system", toPath: own)
        try FileManager.default.copyItem(atPath: packaged, toPath: shipped)
        let folders = try [own, shipped] + changes(own).keys.map { "\(own)/\($0).d" }
        for place in folders {
            for (name, text) in try units(place) {
                var text = change(text)
                for tool in ["tg-", "ev-", "media-", "blob-", "msg-", "ratelimit"] {
                    text = text.replacingOccurrences(of: "/usr/bin/\(tool)", with: "\(ToolRun.path(of: tool))")
                }
                try text.write(toFile: "\(place)/\(name)", atomically: true, encoding: .utf8)
            }
        }
        let log = folder("log")
        let units = try started(host).sorted() + ["tgpipe.target"]
        let command = "SYSTEMD_UNIT_PATH='\(own):\(shipped):' systemd-analyze verify --man=no --recursive-errors=one "
        let status = try SpawnedProgram(
            ["sh", "-c", "\(command) \(units.joined(separator: " ")) >'\(log)' 2>&1"]
        ).wait()
        return (status, try String(contentsOfFile: log, encoding: .utf8))
    }

    @Test(arguments: hosts)
    func `systemd finds no fault in the units of a host`(_ host: String) throws {
        let verdict = try verdict(host)
        #expect(verdict.status == 0 && !verdict.output.contains("tgpipe"), "\(verdict.output)")
        // It would find one.
        let wrong = try self.verdict(host) { $0.replacingOccurrences(of: "ExecStart=/", with: "ExecStart=/nowhere/") }
        #expect(wrong.output.contains("/nowhere/"))
    }

    @Test func `Together the hosts start each unit of the bot, and each queue that is read is written`() throws {
        var text = ""
        var all: Set<String> = []
        for host in Self.hosts {
            let known = try units(packaged).merging(try ownUnits(host)) { $1 }
            for unit in try started(host) {
                let parts = unit.split(separator: "@")
                let file = parts.count == 2 ? "\(parts[0])@.service" : unit
                let own = try #require(known[file], "\(host) has no \(unit)")
                let change = try changes("\(example)/\(host)/etc/systemd/system")[file]
                text += complete(own, change, try settings(host)) + "\n"
            }
            all.formUnion(try started(host))
        }
        let whole = try #require(try units(packaged)["tgpipe.target"])
        for word in whole.split(whereSeparator: { " =\n".contains($0) }) where word.hasSuffix(".service") {
            // The hosts have a Redis of their own, and media-fetch stores what it has fetched.
            let isReplaced =
                word == "tgpipe-redis.service" || word == "tgpipe-put.service" && text.contains(" --to-store")
            #expect(all.contains(String(word)) || isReplaced, "no host starts \(word)")
        }
        func queues(_ mark: String) -> Set<String> {
            Set(
                text.components(separatedBy: mark).dropFirst().map { rest in
                    String(rest.prefix { $0.isLetter || $0.isNumber || "%.-_".contains($0) })
                })
        }
        let read = queues("--from queue:")
        #expect(read.count > 8 && read == queues("--to queue:").union(queues("=queue:")))
    }
}
